"""Long runs do not grow: ``python -m pytest -m long tests/reliability/test_growth.py``."""

import io
import pathlib

import numpy as np
import psutil
import pytest
from rich.console import Console

from tests.runs import tiny_config
from train.loop import train
from train.progress import ProgressDisplay


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_memory_is_flat_over_1e5_iterations(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run writes a hundred log lines, with evaluations, and ten checkpoints; its replay is overwritten a thousand times.

    A checkpoint costs some 0.07 MiB for good: TensorStore 0.1.86 does not give back what its ``Spec.to_json`` makes.
    """
    resident = []
    monkeypatch.setattr(ProgressDisplay, "show", lambda *_: resident.append(psutil.Process().memory_info().rss / 2**20))
    config = tiny_config(tmp_path / "run", total_steps=400_000, log_steps=4_000, eval_steps=4_000, checkpoint_steps=40_000)
    train(config, console=Console(file=io.StringIO()))
    assert len(resident) == 100
    early, late = np.median(resident[20:40]), np.median(resident[-20:])
    print(f"resident: {resident[0]:.0f} MiB after 1000 iterations, {early:.0f} after 3e4, {late:.0f} after 1e5")
    assert late < early + 10

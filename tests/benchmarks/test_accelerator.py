"""The benchmark of whole runs on an accelerator, on a pendulum."""

import pathlib
import signal
import time
from typing import Any

import pytest

from benchmarks.accelerator import Args, main
from benchmarks.report import read_sections
from train.checkpoints import Checkpoints
from train.progress import ProgressDisplay


def test_a_run_is_stopped_with_a_checkpoint_and_measured(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show = ProgressDisplay.show

    def stop(display: ProgressDisplay, line: dict[str, Any]) -> None:
        """Stands for the end of the time, after the first line of the log."""
        show(display, line)
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)

    monkeypatch.setattr(ProgressDisplay, "show", stop)
    results = tmp_path / "out.json"
    agent = "sac:hidden=[8]"
    small = {"task": "inverted_pendulum", "agents": (agent,), "preset": "quick", "num_envs": 4, "physics_seconds": 0.01}
    main(Args(**small, minutes=60, checkpoint_dir=tmp_path / "runs", json=results))
    [measured] = read_sections(results)[f"{agent} on inverted_pendulum"]["rows"]
    assert measured["env_steps"] > 0
    assert measured["env_steps_per_s"] > 0
    assert measured["physics_env_steps_per_s"] > 0
    assert Checkpoints(tmp_path / "runs" / "sac,hidden=[8]").steps[-1] == measured["env_steps"]

"""The CPUs that this process may use."""

import os
import pathlib

import pytest

from envs.cpus import usable_cpus


@pytest.mark.parametrize(
    ("quota", "cpus"), [("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8)]
)
def test_a_quota_counts(quota: str, cpus: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Motphys/UniLab#1328: a pool as large as the machine, where the job has a share of it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert usable_cpus(tmp_path) == cpus


def test_the_affinity_counts(tmp_path: pathlib.Path) -> None:
    assert usable_cpus(tmp_path) == len(os.sched_getaffinity(0))

"""The benchmark of the memory that runs predict."""

import pathlib

import pytest

from benchmarks import memory
from benchmarks.report import read_sections


def test_the_memory_that_a_run_predicts_stands_beside_what_it_takes(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "CASES", (("inverted_pendulum", "sac", 4, 10_000),))
    results = tmp_path / "out.json"
    memory.main(memory.Args(json=results))
    [row] = read_sections(results)["memory"]["rows"]
    assert (row["task"], row["agent"], row["num_envs"], row["replay_size"]) == ("inverted_pendulum", "sac", 4, 10_000)
    assert row["predicted_mb"] > 0
    assert row["measured_mb"] > 0
    assert f"{row['measured_mb'] / row['predicted_mb']:.2f}" in capsys.readouterr().out

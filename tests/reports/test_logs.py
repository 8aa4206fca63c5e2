"""Logs: one damaged line costs no other line, and nothing that a log held is lost."""

import json
import pathlib

import pytest

from eval import plot
from train.logs import SET_ASIDE_FILE, Logs, read_lines

INTACT = [json.dumps({"env_steps": 10 * n, "eval/return_mean": float(n), "x": None}).encode() for n in range(1, 6)]


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"env_steps": 2',
        b'{"env_steps": 20, "x": "\xff\xfe"}',
        b"\x00" * 40,
        b"[1, 2]",
        b"7",
        b'{"x": 1.0}',
        b'{"env_steps": "20"}',
        b'{"env_steps": 20, "eval/return_mean": [1]}',
        b"[" * 100_000,
    ],
    ids=["cut", "not UTF-8", "zeros", "a list", "a number", "no steps", "steps as text", "a value as list", "deep"],
)
def test_a_damaged_line_is_set_aside_and_the_others_stay(
    damaged: bytes, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """openai/baselines#774: one damaged line in a log costs the rest of it."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\n".join([INTACT[0], damaged, *INTACT[1:], b'{"env_st']))
    assert [line["env_steps"] for line in read_lines(path)] == [10, 20, 30, 40, 50]
    assert plot.main([str(path), "--out", str(tmp_path / "curve.png")]) == 0
    assert capsys.readouterr().err == f"warning: {path} has damaged lines (number 2): left out.\n"
    Logs(tmp_path, 50).close()
    assert path.read_bytes() == b"".join(line + b"\n" for line in INTACT)
    assert (tmp_path / SET_ASIDE_FILE).read_bytes() == damaged + b"\n"
    assert "has damaged lines (number 2): moved to" in capsys.readouterr().err
    Logs(tmp_path, 50).close()
    assert not capsys.readouterr().err


def test_lines_of_lost_work_are_set_aside(tmp_path: pathlib.Path) -> None:
    """PaddleFormers PR#4744: going on from an older checkpoint shortens the log."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\n".join(INTACT))  # the last line is whole, though an editor took its end
    Logs(tmp_path, 30).close()
    Logs(tmp_path, 20).close()
    assert path.read_bytes() == b"".join(line + b"\n" for line in INTACT[:2])
    assert (tmp_path / SET_ASIDE_FILE).read_bytes() == b"".join(line + b"\n" for line in [*INTACT[3:], INTACT[2]])

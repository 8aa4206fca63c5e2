"""The metrics file."""

import json
import pathlib

import numpy as np

from train.logs import Logs, flatten, read_lines


def test_flatten_numbers_vectors_and_what_was_not_measured() -> None:
    flat = flatten({"a": np.float32(1.5), "b": np.array([1, 2]), "c": np.nan, "d": 3})
    assert flat == {"a": 1.5, "b/0": 1, "b/1": 2, "c": None, "d": 3}
    json.dumps(flat, allow_nan=False)


def test_logs_continue_without_a_gap_or_a_repeated_line(tmp_path: pathlib.Path) -> None:
    logs = Logs(tmp_path, 0)
    for step in (10, 20, 30):
        logs.write({"env_steps": step, "x": float(step)})
    logs.close()
    logs = Logs(tmp_path, 20)
    logs.write({"env_steps": 30, "x": -1.0})
    logs.close()
    assert [(line["env_steps"], line["x"]) for line in read_lines(tmp_path / "metrics.jsonl")] == [
        (10, 10.0),
        (20, 20.0),
        (30, -1.0),
    ]


def test_a_line_cut_short_is_left_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"env_steps": 1}\n{"env_st')
    assert read_lines(path) == [{"env_steps": 1}]
    assert read_lines(tmp_path / "none") == []

"""The command that measures the engines' speed."""

import json
import pathlib

from benchmarks.engines import Args, main


def test_it_measures_until_a_step_would_take_too_long(tmp_path: pathlib.Path) -> None:
    results = tmp_path / "engines.json"
    main(Args(task=("inverted_pendulum",), engines=("native",), worlds=(1, 4), seconds=0.01, limit=0, json=results))
    report = json.loads(results.read_text())
    measured = report["tasks"]["inverted_pendulum"]["native"]
    assert measured["substeps"] == 2
    assert measured["env_steps_per_s"]["1"] > 0
    assert measured["env_steps_per_s"]["4"] is None
    assert report["environment"]["versions"]["mujoco"]

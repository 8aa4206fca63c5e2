"""The command that measures the engines' speed."""

import pathlib

from benchmarks.engines import Args, main
from benchmarks.report import read_sections


def test_it_measures_until_a_step_would_take_too_long(tmp_path: pathlib.Path) -> None:
    results, page = tmp_path / "engines.json", tmp_path / "engines.md"
    few = {"engines": ("native",), "worlds": (1, 4), "seconds": 0.01, "limit": 0}
    main(Args(task=("inverted_pendulum",), **few, json=results, markdown=page))
    section = read_sections(results)["inverted_pendulum, native"]
    [measured] = section["rows"]
    assert measured["substeps"] == 2
    assert measured["env_steps_per_s"]["1"] > 0
    assert measured["env_steps_per_s"]["4"] is None
    assert section["environment"]["versions"]["mujoco"]
    rate = measured["env_steps_per_s"]["1"]
    assert f"| native | {rate:,.0f} ({2 * rate:,.0f}) | - |" in page.read_text().splitlines()

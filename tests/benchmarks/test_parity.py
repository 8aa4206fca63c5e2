"""The command behind docs/parity.md: a right task has no error, and a wrong one shows where it is wrong."""

import pathlib
from typing import Any

import jax
import pytest

import envs
from benchmarks.parity import Args, compare, main
from benchmarks.report import read_sections
from envs.engines import Derived, PhysicsState

FEW = {"engines": ("native",), "states": 6, "episodes": 0}


def test_a_true_task_equals_its_original(tmp_path: pathlib.Path) -> None:
    results, page = tmp_path / "parity.json", tmp_path / "parity.md"
    main(Args(task=("inverted_pendulum",), json=results, markdown=page, **FEW))
    [found] = read_sections(results)["inverted_pendulum, native"]["rows"]
    assert found["states"] == 18
    assert found["obs"]["max"] < 1e-6
    assert found["reward"]["max"] == 0
    assert found["terminated_differs"] == 0
    assert page.read_text().count("| inverted_pendulum | native | 18 |") == 1
    assert "`inverted_pendulum` (mjx, warp)" in page.read_text().splitlines()[-1]


def test_a_wrong_task_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    true: Any = envs.task("hopper")

    class Wrong(true):
        def observe(self, physics: PhysicsState, derived: Derived, info: dict[str, Any]) -> jax.Array:
            return super().observe(physics, derived, info).at[2].add(0.1)

        def score(self, *args: Any) -> Any:
            terms, terminated = super().score(*args)
            return terms | {"reward_ctrl": terms["reward_ctrl"] - 0.5}, ~terminated

    monkeypatch.setitem(envs.TASKS, "hopper", Wrong)
    found = compare("hopper", Args(**FEW))["native"]
    assert found["obs"]["median"] > 1e-3
    assert found["reward"]["median"] == pytest.approx(0.5, abs=1e-4)
    assert found["terms"]["reward_ctrl"]["median"] == pytest.approx(0.5, abs=1e-4)
    assert found["terms"]["reward_survive"]["max"] == 0
    assert found["terminated_differs"] == found["states"] == 18

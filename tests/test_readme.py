"""The examples in the documentation are the files in ``examples/``, and they run."""

import pathlib
import sys

import pytest

from tests.runs import TINY_FLAGS
from train.run import main

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("own_task", "add_a_task.md"),
        ("own_model", "add_a_task.md"),
        ("own_agent", "add_an_agent.md"),
    ],
)
def test_the_page_shows_the_whole_example(name: str, page: str) -> None:
    assert f"```{{literalinclude}} ../examples/{name}.py\n:language: python\n```" in (ROOT / "docs" / page).read_text()


def test_a_model_of_ones_own_takes_less_than_60_lines() -> None:
    assert len((ROOT / "examples" / "own_model.py").read_text().splitlines()) < 60


@pytest.mark.parametrize(
    "args",
    [
        ["--env", "own_task.py:CentredPendulum"],
        ["--env", "own_model.py:Lift", "--agent", "own_agent.py:distributional_td3"],
    ],
)
def test_example_trains(args: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "examples")
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main([*args, *TINY_FLAGS, "--run-dir", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "checkpoints" / "160").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

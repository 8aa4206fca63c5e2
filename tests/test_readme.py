"""The examples in the documentation are the files in ``examples/``, and they run."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.runs import TINY_FLAGS

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("own_task", "add_a_task.md"),
        ("own_model", "add_a_task.md"),
        ("own_commands", "add_a_task.md"),
        ("own_agent", "add_an_agent.md"),
    ],
)
def test_the_page_shows_the_whole_example(name: str, page: str) -> None:
    assert f"```{{literalinclude}} ../examples/{name}.py\n:language: python\n```" in (ROOT / "docs" / page).read_text()


def test_a_model_of_ones_own_takes_less_than_60_lines() -> None:
    assert len((ROOT / "examples" / "own_model.py").read_text().splitlines()) < 60


@pytest.mark.parametrize(
    ("name", "args"), [("own_task", []), ("own_model", []), ("own_agent", ["--env", "inverted_pendulum"])]
)
def test_example_trains(name: str, args: list[str], tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *args, *TINY_FLAGS, "--run-dir", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert "Done: 160 steps" in run.stdout
    assert (tmp_path / "run" / "checkpoints" / "160").is_dir()
    assert not list(tmp_path.glob("MUJOCO_LOG*"))

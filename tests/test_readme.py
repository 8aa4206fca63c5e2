"""The README's examples are the files in ``examples/``, and they run."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.runs import TINY_FLAGS

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["own_task", "own_agent"])
def test_readme_shows_the_whole_example(name: str) -> None:
    code = (ROOT / "examples" / f"{name}.py").read_text()
    assert f"```python\n{code}```" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("name", "args"), [("own_task", []), ("own_agent", ["--env", "inverted_pendulum"])])
def test_example_trains(name: str, args: list[str], tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *args, *TINY_FLAGS, "--run-dir", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert "Done: 160 steps" in run.stdout
    assert (tmp_path / "run" / "checkpoints" / "160").is_dir()
    assert not list(tmp_path.glob("MUJOCO_LOG*"))

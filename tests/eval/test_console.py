"""The console command: every command behind one word, beside whatever lies in the working directory."""

import importlib
import os
import pathlib
import subprocess
import sys
import tomllib

import pytest

from envs.command import COMMANDS, typed
from eval import console
from mjx_tecrl.packages import check_packages
from tests.runs import OWN_TASK

ROOT = pathlib.Path(__file__).parents[2]


def test_it_is_installed_with_the_package() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["mjx-tecrl"].partition(":")
    assert getattr(importlib.import_module(module), function) is console.main


@pytest.mark.parametrize("word", COMMANDS)
def test_every_command_is_behind_it(word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module, given = importlib.import_module(COMMANDS[word]), []
    monkeypatch.setattr(module, "main", lambda args: given.append(args) or 7)
    assert console.main([word, "--flag", "x"]) == 7
    assert given == [["--flag", "x"]]
    assert console.main([]) == 0
    assert f"\n  {word} " in capsys.readouterr().out


def test_another_word_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main(["fly"]) == 2
    assert capsys.readouterr().err.startswith("error: mjx-tecrl has no command 'fly'; choose one of: train, sweep, eval,")


def test_commands_are_printed_as_they_are_typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("eval.run") == "python -m eval.run"
    monkeypatch.setattr(sys, "argv", ["/some/bin/mjx-tecrl", "list"])
    assert typed("eval.run") == "mjx-tecrl eval"
    assert typed("benchmarks.run") == "python -m benchmarks.run"
    with pytest.raises(SystemExit):
        console.main(["list", "--help"])
    assert "usage: mjx-tecrl list" in capsys.readouterr().out


@pytest.fixture
def beside_others(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with a robot, and with a user's own files of our packages' names."""
    (tmp_path / "train.py").write_text("raise SystemExit('the wrong train')\n")
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").write_text("raise SystemExit('the wrong envs')\n")
    (tmp_path / "eval").mkdir()
    (tmp_path / "robot.py").write_text(OWN_TASK)
    return tmp_path


def test_it_works_beside_files_of_the_same_names(beside_others: pathlib.Path) -> None:
    script = beside_others / "bin" / "mjx-tecrl"
    script.parent.mkdir()
    script.write_text("import sys\nfrom eval.console import main\nsys.exit(main())\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), "train", "--env", "robot.py:Lift", "--num-envs", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=beside_others, env=environment, check=False)
    assert (done.stdout, done.stderr) == ("", "error: --num-envs must be at least 1, not 0.\n")


def test_a_file_that_hides_a_package_is_named(beside_others: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_packages("train", "envs", "eval", "benchmarks", "mjx_tecrl")
    for name in ("train", "envs", "eval"):
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(beside_others)
    for name, file in (("train", "train.py"), ("envs", "envs/__init__.py")):
        with pytest.raises(ImportError, match=f"^{beside_others}/{file} hides mjx-tecrl's package {name}: rename it,"):
            check_packages(name)
    check_packages("eval")  # a folder without __init__.py hides nothing
    with pytest.raises(ImportError, match="package no_such_package is not there"):
        check_packages("no_such_package")

"""Runs on a task and an agent in files of one's own: every command takes them, and none runs code that it was not given."""

import json
import pathlib
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator

import pytest

import envs.list
import envs.view
from benchmarks import buffers
from benchmarks.choices import chosen, file_stem, named_tasks
from envs.command import run_command
from envs.own_code import file_digest
from eval import inspect, render
from eval import run as evaluation
from eval.restore import restore
from tests.runs import OWN_TASK, TINY_FLAGS
from train.code_file import CODE_FILE
from train.config import load_config
from train.run import main, parse
from train.trials import Args, make_trials

FILE = f"""
{OWN_TASK}

import pathlib

from mjx_tecrl.agents import AGENTS, NamedAgent

with pathlib.Path(__file__).with_name("ran").open("a") as ran:
    ran.write("x")

mine = NamedAgent(AGENTS["dsac_e"].Config, AGENTS["dsac_e"].make)
"""

READERS: dict[str, Callable[[list[str]], int]] = {
    "score": evaluation.main,
    "film": render.main,
    "inspect": inspect.main,
    "resume": lambda args: main(["--resume", "--run-dir", *args]),
}
"""The commands that read a run directory."""

OWN = ["--env", "robot.py:Lift", "--agent", "robot.py:mine"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[pathlib.Path, str]]:
    """A folder with the file, a run in it, and what training printed."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "robot.py").write_text(FILE)
    path = list(sys.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        capture = (folder / "out").open("w")
        patch.setattr(sys, "stdout", capture)
        assert main([*OWN, *TINY_FLAGS, "--total-steps", "80", "--run-dir", "run"]) == 0
        capture.close()
    yield folder, (folder / "out").read_text()
    sys.path[:] = path


@pytest.fixture
def copy(trained: tuple[pathlib.Path, str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A copy of that folder, in which to work."""
    folder = shutil.copytree(trained[0], tmp_path / "copy")
    (folder / "ran").unlink()
    monkeypatch.chdir(folder)
    return folder


def test_the_run_remembers_where_its_code_lies(trained: tuple[pathlib.Path, str]) -> None:
    folder, printed = trained
    config = json.loads((folder / "run" / "config.json").read_text())
    assert (config["env"], config["agent"]) == (f"{folder}/robot.py:Lift", f"{folder}/robot.py:mine")
    code = json.loads((folder / "run" / CODE_FILE).read_text())
    assert code["env"] == {"name": f"{folder}/robot.py:Lift", "sha256": file_digest(folder / "robot.py")}
    assert "mine on Lift: 4 worlds" in printed


def test_the_last_line_that_training_prints_works_as_typed(
    trained: tuple[pathlib.Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, printed = trained
    monkeypatch.chdir(folder)
    python, m, module, *args = shlex.split(printed.strip().splitlines()[-1])
    assert (python, m, module) == ("python", "-m", "eval.run")
    assert args == ["run", *OWN]
    assert evaluation.main([*args, "--episodes", "2"]) == 0
    out, err = capsys.readouterr()
    assert "lift after 80 steps, native physics" in out
    assert err == ""


@pytest.mark.parametrize("reader", READERS)
def test_a_run_directory_runs_no_code_that_was_not_named(
    reader: str, copy: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "run" / "config.json"
    config = json.loads(path.read_text())
    (copy / "stranger.py").write_text(FILE)
    for agent, given, missing in (
        ("robot.py", [], "--env robot.py:Lift"),
        ("robot.py", OWN[:2], "--agent robot.py:mine"),
        ("stranger.py", OWN[:2], "--agent stranger.py:mine"),
    ):
        path.write_text(json.dumps(config | {"env": f"{copy}/robot.py:Lift", "agent": f"{copy}/{agent}:mine"}))
        assert READERS[reader](["run", *given]) == 2
        assert f"run only if you name it too: if you trust it, add {missing}." in capsys.readouterr().err
        assert not (copy / "ran").exists()


def test_a_changed_file_is_said_in_one_line(copy: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    restore("run", env="robot.py:Lift", agent="robot.py:mine")
    assert capsys.readouterr().err == ""
    (copy / "robot.py").write_text(FILE + "\n")
    restore("run", env="robot.py:Lift", agent="robot.py:mine")
    assert capsys.readouterr().err == "".join(
        f"warning: robot.py:{name} has changed since run was trained with it.\n" for name in ("Lift", "mine")
    )


def test_a_run_whose_file_was_moved_goes_on(copy: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "robot.py").rename(copy / "moved.py")
    moved = ["--env", "moved.py:Lift", "--agent", "moved.py:mine"]
    assert main(["--resume", "--run-dir", "run", "--total-steps", "160", "--compilation-cache", "None", *moved]) == 0
    out, err = capsys.readouterr()
    assert out.strip().endswith("python -m eval.run run --env moved.py:Lift --agent moved.py:mine")
    assert "changed" not in err
    assert load_config(copy / "run", "moved.py:Lift", "moved.py:mine").env == f"{copy}/moved.py:Lift"


def test_a_run_goes_on_with_no_other_task(copy: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--resume", "--run-dir", "run", "--env", "robot.py:Other", "--agent", "robot.py:mine"]) == 2
    assert "--env robot.py:Other is another" in capsys.readouterr().err
    assert not (copy / "ran").exists()


def test_flags_follow_the_files(copy: pathlib.Path) -> None:
    _, config = parse([*OWN, "--agent.rho", "0.5"])
    assert (config.env, config.agent, config.agent_args.rho) == ("robot.py:Lift", "robot.py:mine", 0.5)


def test_a_sweep_takes_them(copy: pathlib.Path) -> None:
    [trial] = make_trials(Args(copy / "sweep", vary=(("seed", "0"),)), OWN)
    assert (trial.config.env, trial.config.agent) == (f"{copy}/robot.py:Lift", f"{copy}/robot.py:mine")


def test_benchmarks_take_them(copy: pathlib.Path) -> None:
    assert named_tasks(("robot.py:Lift", "hopper"), ()) == (f"{copy}/robot.py:Lift", "hopper")
    config = chosen("quick", "robot.py:Lift", "robot.py:mine:rho=0.5")
    assert (config.agent, config.agent_args.rho) == ("robot.py:mine", 0.5)
    assert file_stem(f"{copy}/robot.py:Lift", "robot.py:mine:rho=0.5") == "Lift-mine,rho=0.5"
    assert file_stem("hopper", "dsac_e") == "hopper-dsac_e"


def test_benchmarks_and_the_list_measure_and_show_them(copy: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(buffers.Args, buffers.main, buffers.PROGRAM, ["--task", "robot.py:Lift", "--states", "2"]) == 0
    assert f"| {copy}/robot.py:Lift | 0.0 | 0 | " in capsys.readouterr().out
    assert envs.list.main(["robot.py:Lift"]) == 0
    assert "robot.py:Lift" in capsys.readouterr().out


@pytest.mark.usefixtures("draws")
def test_films_show_them(copy: pathlib.Path) -> None:
    small = ["--width", "32", "--height", "24", "--steps", "2"]
    assert envs.view.main(["robot.py:Lift", "--out", "view.png", *small]) == 0
    assert render.main(["run", *OWN, "--out", "film.png", *small]) == 0
    assert (copy / "view.png").is_file()
    assert (copy / "film.png").is_file()

"""``envs.list`` and ``envs.view``: what they print, and how they answer a mistake."""

import importlib.util
import pathlib
import sys
from collections.abc import Callable

import pytest

import envs
from envs import list as list_command
from envs import view as view_command


@pytest.mark.parametrize(
    ("main", "args", "said"),
    [
        (list_command.main, ["humaniod"], "no task's name contains 'humaniod'; did you mean humanoid"),
        (view_command.main, ["hoper", "--out", "film.png"], "unknown env 'hoper'; did you mean hopper"),
        (view_command.main, ["hopper", "--out", "film.png", "--steps", "0"], "--steps must be at least 1, not 0."),
        (view_command.main, ["hopper", "--out", "film.avi", "--steps", "1"], "must end in .mp4, .gif, .png or .html."),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(
    main: Callable[[list[str]], int], args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err


def test_a_window_needs_a_display(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_command.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert view_command.main(["hopper"]) == 2
    assert "there is no display here: write a film with --out film.mp4." in capsys.readouterr().err


def test_a_film_is_written(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "film.png"
    assert view_command.main(["hopper", "--out", str(out), "--steps", "2", "--width", "32", "--height", "24"]) == 0
    assert out.is_file()
    assert "1 frames of 32 x 24" in capsys.readouterr().out


def test_a_page_is_written(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "film.html"
    assert view_command.main(["hopper", "--out", str(out), "--steps", "2", "--camera", "-1"]) == 0
    assert '"following": false' in out.read_text()
    assert "3 frames, 0.0" in capsys.readouterr().out


def test_the_list_says_what_each_task_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_command.main(["hopper-v4"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "hopper-v4" in line)
    assert line.split() == ["hopper-v4", "11", "3", "1000", "mjx", "warp", "native", "Hopper-v4"]


@pytest.mark.parametrize(
    ("match", "line"),
    [
        ("dmc/", f"dmc/humanoid-stand to dmc/walker-run: {len(envs.DMC_TASKS)} tasks need dm_control, "),
        ("dmc/dog-run", "dmc/dog-run needs dm_control, "),
    ],
)
def test_the_list_has_one_line_for_each_extra_that_is_missing(
    match: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for domain in {task.domain() for task in envs.DMC_TASKS.values()}:
        monkeypatch.setitem(sys.modules, f"dm_control.suite.{domain}", None)
    assert list_command.main([match]) == 0
    assert capsys.readouterr().out == f"{line}which is not installed: pip install 'mjx-tecrl[dmc]'\n"


@pytest.mark.parametrize("package", ["brax", "mujoco_playground"])
def test_the_list_says_whether_another_library_is_installed(
    package: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = package.removeprefix("mujoco_")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert list_command.main([prefix]) == 0
    missing = f"{prefix.capitalize()}, which is not installed: pip install 'mjx-tecrl[{prefix}]'"
    assert capsys.readouterr().out == f"{prefix}/<name> needs {missing}\n"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == package or None)
    assert list_command.main([f"{prefix}/ant"]) == 0
    assert capsys.readouterr().out == f"{prefix}/<name>: the environments of {prefix.capitalize()}, with their own physics\n"

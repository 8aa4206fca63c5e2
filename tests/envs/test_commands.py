"""``envs.list`` and ``envs.view``: what they print, and how they answer a mistake."""

import pathlib
from collections.abc import Callable
from typing import Any

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
        (view_command.main, ["hopper", "--out", "film.avi", "--steps", "1"], "must end in .mp4, .gif or .png."),
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


def test_the_list_says_what_each_task_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_command.main(["hopper-v4"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "hopper-v4" in line)
    assert line.split() == ["hopper-v4", "11", "3", "1000", "mjx", "warp", "native", "Hopper-v4"]


def test_the_list_says_which_extra_a_task_needs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def make(name: str, **kwargs: Any) -> None:
        raise ValueError(f"{name} needs dm_control: pip install 'mjx-tecrl[dmc]'")

    monkeypatch.setattr(envs, "make", make)
    assert list_command.main(["dmc/dog-run"]) == 0
    assert "pip install 'mjx-tecrl[dmc]'" in " ".join(capsys.readouterr().out.split())

"""What the user sees."""

import contextlib
import io
from typing import IO, cast

import pytest
from rich.console import Console

from envs.command import warn
from train.progress import PatientOutput, ProgressDisplay, describe

LINE = {
    "env_steps": 500,
    "speed/env_steps_per_s": 1234.5,
    "speed/updates_per_s": 67.0,
    "eval/return_mean": 89.04,
    "train/return_mean": None,
    "agent/log_alpha": -1.5,
    "safety/diverged_total": 2,
}


def test_describe_shows_what_was_measured() -> None:
    text = describe(LINE)
    assert text == "1,234 steps/s  67 updates/s  eval 89.0  log alpha -1.50  diverged 2"


def test_a_terminal_gets_a_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    with ProgressDisplay(console, 1000, 0) as display:
        display.show(LINE)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "50%" in text
    assert "eval 89.0" in text


def test_output_that_nobody_takes_does_not_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr("sys.stdout", full)
        monkeypatch.setattr("sys.stderr", full)
        with ProgressDisplay(Console(file=cast(IO[str], PatientOutput())), 1000, 0) as display:
            display.show(LINE)
        warn("this is lost")
        monkeypatch.undo()
        with contextlib.suppress(OSError):  # what is still in the buffer
            full.close()


def test_a_file_gets_lines() -> None:
    console = Console(file=io.StringIO(), width=40)
    with ProgressDisplay(console, 1000, 0) as display:
        display.show(LINE)
    [line] = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "500 / 1,000 steps" in line
    assert "\x1b" not in line

"""The frame of all commands: what ends one, and with which exit code."""

import dataclasses
import pathlib
import signal
import subprocess
import sys

import pytest

import envs.list
import envs.view
from envs.command import Interrupted, UserError, expanded, first_line, framed, run_command, sentence, user_errors


def failing(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (UserError("Give a task."), 2, "error: Give a task.\n"),
        (Interrupted(signal.SIGTERM), 143, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_ends_a_command(error: BaseException, code: int, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert framed(lambda: failing(error)) == code
    assert capsys.readouterr().err == printed


def test_an_action_may_return_its_exit_code() -> None:
    assert framed(lambda: 1) == 1
    assert framed(lambda: None) == 0


def test_a_fault_of_the_program_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="a bug"):
        framed(lambda: failing(ValueError("a bug")))


def test_the_command_line_is_parsed() -> None:
    @dataclasses.dataclass(frozen=True)
    class Args:
        number: int = 0

    assert run_command(Args, lambda args: args.number, "prog", ["--number", "7"]) == 7


def test_a_question_keeps_its_mark() -> None:
    assert sentence("did you mean hopper?") == "did you mean hopper?"
    assert sentence(ValueError("no such file.")) == sentence("no such file") == "no such file."


def test_the_first_line_of_an_error_stands_for_it() -> None:
    assert first_line(OSError("\nno room.\nSee the log.")) == "no room"
    assert first_line(OSError("no room left"), most=7) == "no room"
    assert first_line(OSError()) == "OSError"


def test_a_home_directory_that_is_not_known_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expanded("~/runs") == pathlib.Path.home() / "runs"
    with pytest.raises(UserError, match=r"~nobody_here/runs cannot be found: .* no home directory"):
        expanded("~nobody_here/runs")


def test_whoever_stops_reading_sees_no_traceback() -> None:
    program = "import sys; from envs.command import framed; sys.exit(framed(lambda: print(10**6 * chr(120))))"
    command = f"{sys.executable} -c '{program}' | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", [1, 2])
def test_no_file_takes_the_number_of_a_closed_stream(closed: int) -> None:
    """iterative/dvc PR#10041, Textualize/rich#2400: what is printed would end in the next file that is opened."""
    program = "import os; from envs.command import framed; framed(lambda: 0); print(os.open('/dev/null', os.O_RDONLY))"
    command = f'{sys.executable} -c "{program}" {closed}>&-'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout in ("3\n", "4\n") if closed == 2 else done.stdout == ""


@pytest.mark.parametrize("error", [ValueError("unknown env 'x'"), NotImplementedError("unknown env 'x'.")])
def test_what_a_library_refuses_is_one_sentence(error: Exception) -> None:
    with pytest.raises(UserError) as refused, user_errors():
        raise error
    assert str(refused.value) == "unknown env 'x'."


@pytest.mark.parametrize(
    ("main", "args", "sentence"),
    [
        (envs.view.main, ["humanid"], "error: unknown env 'humanid'; did you mean humanoid"),
        (envs.view.main, ["hopper", "--steps", "0"], "error: --steps must be at least 1, not 0."),
        (envs.list.main, ["humanid"], "error: no task's name contains 'humanid'; did you mean humanoid"),
    ],
)
def test_mistakes_in_the_commands_of_tasks(
    main: object, args: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2  # type: ignore[operator]
    assert capsys.readouterr().err.startswith(sentence)

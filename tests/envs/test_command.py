"""The frame of all commands: what ends one, and with which exit code."""

import dataclasses
import signal

import pytest

import envs.list
import envs.view
from envs.command import Interrupted, UserError, framed, run_command, user_errors


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

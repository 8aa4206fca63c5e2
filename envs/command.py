"""What the commands of all rooms share: a user's mistake ends a command with one sentence and exit code 2, no traceback."""

import contextlib
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import tyro
from rich.console import Console

Args = TypeVar("Args")
"""The class of a command's arguments."""


CONSOLE = "mjx-tecrl"
"""The console command that has all others behind it."""

COMMANDS = {
    "train": "train.run",
    "sweep": "train.sweep",
    "eval": "eval.run",
    "render": "eval.render",
    "export": "eval.export",
    "plot": "eval.plot",
    "inspect": "eval.inspect",
    "list": "envs.list",
    "view": "envs.view",
}
"""The words that follow it, and the module of each command."""


class UserError(Exception):
    """A mistake that only the user can mend. Its text is one sentence that says what is wrong."""


class Interrupted(Exception):
    """A signal stopped the command, which saved what it had done.

    Attributes:
      signal: the number of the signal.
    """

    def __init__(self, signal: int):
        super().__init__(signal)
        self.signal = signal


def warn(text: str) -> None:
    """Prints a warning on standard error. The program goes on."""
    with contextlib.suppress(OSError):  # standard error may be a file on a disk that is full
        print(f"warning: {text}", file=sys.stderr, flush=True)


def say(console: Console, text: str) -> None:
    """Prints text as it is. rich would otherwise take ``[x]`` for a mark and ``:x:`` for a picture, also in a path."""
    console.print(text, soft_wrap=True, markup=False, emoji=False)


def sentence(error: Exception | str) -> str:
    """A text of an error as a sentence: it ends with a full stop, unless it ends with a question."""
    text = str(error).rstrip(".")
    return text if text.endswith("?") else f"{text}."


def first_line(error: BaseException, most: int | None = None) -> str:
    """What an error says, in one line of at most so many characters, without a full stop; its kind if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:most].rstrip(".") if lines else type(error).__name__


def quoted(path: pathlib.Path) -> str:
    """A path as a word of a command that a user copies into a shell."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def typed(module: str) -> str:
    """How a user types the command of a module here: ``mjx-tecrl eval`` if this process was started so, else
    ``python -m eval.run``."""
    words = {module: word for word, module in COMMANDS.items()}
    if pathlib.Path(sys.argv[0]).name == CONSOLE and module in words:
        return f"{CONSOLE} {words[module]}"
    return f"python -m {module}"


def expanded(path: str | pathlib.Path) -> pathlib.Path:
    """A path in which ``~`` is replaced by the home directory.

    Raises:
      UserError: the home directory is not known; one sentence.
    """
    try:
        return pathlib.Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path} cannot be found: this account has no home directory, so write the path out.") from error


def check_seed(seed: int, flag: str = "--seed") -> None:
    """Checks that a seed is one of the 2**32 different ones that JAX has. Others would be taken for one of these.

    Raises:
      UserError: it is not; one sentence.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"{flag} must be from 0 to {2**32 - 1}, not {seed}.")


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Within this block, what a user named or set may be refused.

    The libraries refuse unknown names and impossible values by a ValueError, and what is not there for a task or on this
    machine by a NotImplementedError. Only the caller knows whether a user asked for it: in this block, one did.

    Raises:
      UserError: instead of these errors, with their text.
    """
    try:
        yield
    except (ValueError, NotImplementedError) as error:
        raise UserError(sentence(error)) from error


def run_command(kind: type[Args], action: Callable[[Args], int | None], prog: str, args: list[str] | None = None) -> int:
    """Parses a command line, does what it says, and returns the exit code, as `framed` does.

    Args:
      kind: a dataclass with a field for each flag.
      action: what the command does with an instance of it. It may return an exit code.
      prog: the command, such as ``python -m eval.run``, for the help text.
      args: the command line; default: the process's own.
    """
    return framed(lambda: action(tyro.cli(kind, args=args, prog=typed(prog.removeprefix("python -m ")))))


def framed(action: Callable[[], int | None]) -> int:
    """Does what a command does, and returns its exit code.

    Returns:
      What ``action`` returns, or 0 for None. After a `UserError`, whose sentence is printed: 2. After a signal: 128 plus the
      number of the signal, so 130 after Ctrl-C, and 141 where nobody reads what is printed any more.
    """
    _fill_standard_descriptors()
    try:
        try:
            return action() or 0
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        return 128 + stop.signal
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _forget_output()
        return 128 + signal.SIGPIPE


def _fill_standard_descriptors() -> None:
    """Opens the null device in place of each closed standard stream, whose number and text the next file would take."""
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(free)


def _forget_output() -> None:
    """Sends what is still to be printed nowhere, so that Python does not fail on it once more as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)

"""What the commands of all rooms share: a user's mistake ends a command with one sentence and exit code 2, no traceback."""

import contextlib
import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

Args = TypeVar("Args")


class UserError(Exception):
    """A mistake that only the user can mend. Its text is one sentence that says what is wrong."""


def warn(text: str) -> None:
    """Prints a warning on standard error. The program goes on."""
    with contextlib.suppress(OSError):  # standard error may be a file on a disk that is full
        print(f"warning: {text}", file=sys.stderr, flush=True)


def run_command(kind: type[Args], action: Callable[[Args], None], prog: str, args: list[str] | None = None) -> int:
    """Parses a command line, does what it says, and returns the exit code.

    Args:
      kind: a dataclass with a field for each flag.
      action: what the command does with an instance of it.
      prog: the command as a user types it, for the help text.
      args: the command line; default: the process's own.

    Returns:
      0 after success, 2 after a `UserError`, whose sentence is printed, and 130 after Ctrl-C.
    """
    return framed(lambda: action(tyro.cli(kind, args=args, prog=prog)))


def framed(action: Callable[[], None]) -> int:
    """Does ``action``; returns the exit code as `run_command` does."""
    try:
        action()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0

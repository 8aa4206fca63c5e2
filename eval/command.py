"""What the commands of this room share: positional run directory, one clear sentence for a user's mistake."""

import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

from train.errors import UserError

Args = TypeVar("Args")


def run_command(kind: type[Args], action: Callable[[Args], None], prog: str, args: list[str] | None = None) -> int:
    """Parses ``args`` (default: the process's) into ``kind``, does ``action``, and returns the exit code."""
    try:
        action(tyro.cli(kind, args=args, prog=prog))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0

"""What a user is told when something is not as it should be."""

import contextlib
import sys


class UserError(Exception):
    """Something only the user can mend; its text is one sentence that says what. Exit code 2."""


def warn(text: str) -> None:
    """Says something that the user should know, and goes on."""
    with contextlib.suppress(OSError):  # standard error may be a file on the disk that is full
        print(f"warning: {text}", file=sys.stderr, flush=True)

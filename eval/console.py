"""``mjx-tecrl``: all commands behind one word, wherever it is typed.

Nothing in the working directory hides the project's packages from it: not a ``train.py``, nor a folder ``envs`` or ``eval``.
"""

import importlib
import sys

from envs.command import COMMANDS, CONSOLE
from mjx_tecrl import __version__

_USAGE = f"""\
usage: {CONSOLE} COMMAND ...

  train     trains an agent on a task, or goes on with a run
  sweep     trains one run for each point of a search space
  eval      scores a run
  render    films a run's policy
  export    writes a run's policy to a file for a robot
  plot      plots the metrics of runs
  inspect   shows which worlds of a run blew up, and how
  list      lists the tasks
  view      shows a task under random actions

{CONSOLE} COMMAND --help explains the flags of a command.
"""


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code of the command, or 2 if there is no such command."""
    word, *rest = (sys.argv[1:] if args is None else args) or ["--help"]
    if word in COMMANDS:
        return importlib.import_module(COMMANDS[word]).main(rest)
    if word in ("--help", "-h"):
        print(_USAGE, end="")
        return 0
    if word == "--version":
        print(__version__)
        return 0
    print(f"error: {CONSOLE} has no command {word!r}; choose one of: {', '.join(COMMANDS)}.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

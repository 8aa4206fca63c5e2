"""``python -m envs.list``: lists every task with its sizes, time limit, engines and source."""

import dataclasses
import sys

import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

import envs
from envs.command import UserError, run_command
from envs.names import nearest


@dataclasses.dataclass(frozen=True)
class Args:
    """List the tasks."""

    match: tyro.conf.Positional[str] = ""
    """list only tasks whose name contains this"""


def list_tasks(args: Args) -> None:
    """Prints the table.

    Raises:
      UserError: no task's name matches.
    """
    names = [name for name in envs.TASKS if args.match in name]
    if not names:
        raise UserError(f"no task's name contains {args.match!r}; did you mean {nearest(args.match, envs.TASKS)}?")
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("name", "observation", "action", "steps", "engines", "source"):
        table.add_column(column, no_wrap=column != "source")
    for name in names:
        task = envs.task(name)
        try:
            env = envs.make(name, physics="native")
            row = (str(env.obs_size), str(env.action_size), str(env.episode_length), " ".join(task.engines), task.source())
        except (ValueError, NotImplementedError) as error:  # for instance, an extra is not installed
            row = ("", "", "", "", str(error))
        table.add_row(*map(Text, (name, *row)))  # otherwise rich takes '[dmc]' for one of its own marks and drops it
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # so that nothing is cut in a file or a pipe
    console.print(table)


def main(args: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    return run_command(Args, list_tasks, "python -m envs.list", args)


if __name__ == "__main__":
    sys.exit(main())

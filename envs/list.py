"""``python -m envs.list``: every task, with its sizes, time limit, engines and source."""

import dataclasses
import sys

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

import envs
from envs.command import UserError, run_command
from envs.names import nearest


@dataclasses.dataclass(frozen=True)
class Args:
    """List the tasks."""

    match: tyro.conf.Positional[str] = ""
    """only those whose name contains this"""


def list_tasks(args: Args) -> None:
    """Prints the table.

    Raises:
      UserError: no task has such a name; one sentence.
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
            sizes = str(env.obs_size), str(env.action_size), str(env.episode_length)
        except (ValueError, NotImplementedError) as error:  # an extra that is not installed
            table.add_row(name, "", "", "", "", str(error))
            continue
        table.add_row(name, *sizes, " ".join(task.engines), task.source())
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # nothing is cut in a file or a pipe
    console.print(table)


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, list_tasks, "python -m envs.list", args)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m envs.list``: every task, with its sizes, time limit, engines and source."""

import dataclasses
import sys

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

import envs
from envs.names import nearest


@dataclasses.dataclass(frozen=True)
class Args:
    """List the tasks."""

    match: tyro.conf.Positional[str] = ""
    """only those whose name contains this"""


def list_tasks(args: Args) -> int:
    """Prints the table; returns the exit code."""
    names = [name for name in envs.TASKS if args.match in name]
    if not names:
        print(
            f"error: no task's name contains {args.match!r}; did you mean {nearest(args.match, envs.TASKS)}?",
            file=sys.stderr,
        )
        return 2
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
    return 0


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return list_tasks(tyro.cli(Args, args=args, prog="python -m envs.list"))


if __name__ == "__main__":
    sys.exit(main())

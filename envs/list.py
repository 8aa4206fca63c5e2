"""``python -m envs.list``: lists every task with its sizes, time limit, engines and source."""

import dataclasses
import importlib.util
import sys

import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

import envs
from envs.adapters.foreign import LIBRARIES
from envs.command import UserError, run_command, say, user_errors
from envs.extras import MissingExtra
from envs.names import nearest
from envs.own_code import as_own_code, installed


@dataclasses.dataclass(frozen=True)
class Args:
    """List the tasks."""

    match: tyro.conf.Positional[str] = ""
    """list only tasks whose name contains this; or the one in a file of your own: my_robot.py:Lift"""


def list_tasks(args: Args) -> None:
    """Prints the table, and below it a line for each other library and each extra that is not installed.

    Raises:
      UserError: no task's name matches.
    """
    with user_errors():
        own = as_own_code(args.match) is not None
    known = [*envs.TASKS, *installed("env")]
    names = [args.match] if own else [name for name in known if args.match in name]
    libraries = [kind for kind in LIBRARIES.values() if args.match.partition("/")[0] in kind.name]
    if not names and not libraries:
        raise UserError(f"no task's name contains {args.match!r}; did you mean {nearest(args.match, known)}?")
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("name", "observation", "action", "steps", "engines", "source"):
        table.add_column(column, no_wrap=column != "source")
    missing: dict[str, list[str]] = {}
    for name in names:
        try:
            task = envs.task(name)
            env = envs.make(name, physics="native")
            row = (str(env.obs_size), str(env.action_size), str(env.episode_length), " ".join(task.engines), task.source())
        except MissingExtra as error:
            missing.setdefault(error.needs, []).append(name)
            continue
        except (ValueError, NotImplementedError) as error:
            row = ("", "", "", "", str(error))
        table.add_row(*map(Text, (name, *row)))  # otherwise rich takes '[x]' for one of its own marks and drops it
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # so that nothing is cut in a file or a pipe
    if table.rows:
        console.print(table)
    for kind in libraries:  # their packages are not imported: that takes seconds
        if importlib.util.find_spec(kind.package) is None:
            missing[kind.missing().needs] = [kind.name]
        else:
            say(console, f"{kind.name}: the environments of {kind.library}, with their own physics")
    for needs, theirs in missing.items():
        who = f"{theirs[0]} needs" if len(theirs) == 1 else f"{theirs[0]} to {theirs[-1]}: {len(theirs)} tasks need"
        say(console, f"{who} {needs}")


def main(args: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    return run_command(Args, list_tasks, "python -m envs.list", args)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m benchmarks.run [SUITE ...]``: how fast this machine does what a run does.

Without ``--full`` each suite is cut down: all of them take some ten minutes on two cores. ``peers``, others' SAC beside
ours, needs environments of its own (``make peers``) and is run only when it is named. Compare figures of one suite with each
other, and files that ``--json`` wrote only where the machines are the same.
"""

import dataclasses
import json
import pathlib
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Row
from benchmarks.peers import peers
from benchmarks.report import describe, environment
from benchmarks.suites import SUITES
from envs.command import UserError, run_command

NAMED = {peers.__name__: peers}
"""Suites that are run only when they are named."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure the speed of the parts and of the whole."""

    suites: tyro.conf.Positional[tuple[str, ...]] = ()
    """what to measure: physics, replay, update, train, collection, overlap, startup, scaling, peers; default: all but the
    last"""
    full: bool = False
    """every task, engine, agent and size, instead of the short form of some ten minutes on two cores"""
    json: pathlib.Path | None = None
    """file to write the figures to, with hardware, versions and commit; suites in it that are not measured now are kept"""
    against: pathlib.Path | None = None
    """file that an earlier run wrote: its figures are shown beside these"""
    markdown: pathlib.Path | None = None
    """file to write all that is in the JSON file to as a page of the documentation"""


def main(args: Args) -> None:
    """Measures, prints, writes.

    Raises:
      UserError: an unknown suite, or a file that is none; one sentence.
    """
    if unknown := set(args.suites) - set(_suites()):
        raise UserError(f"unknown suite {min(unknown)!r}; choose from: {', '.join(_suites())}.")
    before = _read(args.against) if args.against else {}
    report: dict[str, Any] = {"suites": {}}
    if args.json and args.json.exists() and args.json.stat().st_size:
        _read(args.json)  # whether it is one of ours
        report = json.loads(args.json.read_text())
    for path in filter(None, (args.json, args.markdown)):
        try:
            path.touch()  # or it were known only after measuring
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}.") from error
    command = shlex.join(["python", "-m", "benchmarks.run", *sys.argv[1:]])
    for name in args.suites or tuple(SUITES):
        suite = _suites()[name]
        rows: list[dict[str, Any]] = []
        table = Table("case", "figure", "unit", *(["before", "ratio"] if args.against else []), title=name)
        for row in suite(args.full):
            rows.append(row._asdict())
            table.add_row(*_cells(row, before.get(name, {}) if args.against else None))
            report["suites"][name] = {"command": command, "environment": environment(), "rows": rows}
            if args.json:  # after each figure: what was measured stays if the next one fails
                args.json.write_text(json.dumps(report, indent=2) + "\n")
        Console().print(table, "", _summary(name), "")
    if args.markdown:
        args.markdown.write_text(page(report))


def page(report: dict[str, Any]) -> str:
    """The figures as a page of the documentation."""
    blocks = [_HEAD]
    for name in filter(report["suites"].__contains__, _suites()):
        suite = report["suites"][name]
        where = f"`{suite['command']}`, on {describe(suite['environment'])}:"
        lines = (f"| {row['case']} | {_figure(row['value'])} | {row['unit']} |" for row in suite["rows"])
        table = "| case | figure | unit |\n|---|---|---|\n" + "\n".join(lines)
        blocks.append(f"## {name}\n\n{_summary(name)}\n\n{where}\n\n{table}")
    return "\n\n".join(blocks) + "\n"


_HEAD = """\
# Speed

Written by `python -m benchmarks.run`, suite by suite. `--full` measures every task, engine, agent and size; `--against FILE`
shows the figures of an earlier file beside the new ones, with their ratio. The suite `peers`, this project's SAC against
Brax's and SBX's, is run only when it is named, and needs their environments: `make peers`.

How to read it: compare figures of one suite with each other, and hardly with those of another machine, or of the same one at
another hour. Of several measurements the fastest counts, since what else a machine does only ever slows it down, and what is
compared takes turns; a start is measured once.

The floor (roofline): the floating-point operations as the compiler counts them before it optimises, at the rate of a large
matrix product measured in the same run, or the bytes that cannot but be moved (of an update: the agent's state, read and
written, and the batch), at the rate of a large array's in-place sum, whichever takes longer. "floor / time" is the share of
the time that better programming with the same arithmetic could not save."""


def _suites() -> dict[str, Callable[[bool], Iterator[Row]]]:
    return SUITES | NAMED


def _summary(name: str) -> str:
    return (_suites()[name].__doc__ or "").partition("\n")[0]


def _cells(row: Row, before: dict[str, float] | None) -> list[str]:
    cells = [row.case, _figure(row.value), row.unit]
    if before is not None:
        old = before.get(row.case)
        cells += ["", ""] if old is None else [_figure(old), f"{row.value / old:.2f}"]
    return cells


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _read(path: pathlib.Path) -> dict[str, dict[str, float]]:
    """Suite, case, figure."""
    try:
        suites = json.loads(path.read_text())["suites"]
        return {name: {row["case"]: float(row["value"]) for row in suite["rows"]} for name, suite in suites.items()}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not what --json wrote: {error}.") from error


if __name__ == "__main__":
    raise SystemExit(run_command(Args, main, "python -m benchmarks.run"))

"""``python -m benchmarks.run [SUITE ...]``: how fast this machine does what a run does.

Without ``--full`` each suite is cut down, so that all of them together take some ten minutes on two cores. The suite
``peers`` measures other projects' SAC beside ours. It needs environments of its own (``make peers``), and is run only when
it is named. Compare figures of one suite with each other. Compare files that ``--json`` wrote only if the machines are the
same.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterator

import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Row
from benchmarks.peers import peers
from benchmarks.report import Report, describe, read_sections
from benchmarks.suites import SUITES
from envs.command import UserError, run_command

PROGRAM = "python -m benchmarks.run"

NAMED = {peers.__name__: peers}
"""Suites that run only when they are named."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure the speed of the parts and of the whole."""

    suites: tyro.conf.Positional[tuple[str, ...]] = ()
    """what to measure: physics, replay, update, train, collection, overlap, startup, scaling, peers; default: all but the
    last"""
    full: bool = False
    """every task, engine, agent and size, instead of the short form of some ten minutes on two cores"""
    json: pathlib.Path | None = None
    """file to write the figures to; suites in it that are not measured now are kept"""
    against: pathlib.Path | None = None
    """file that an earlier run wrote; its figures are shown beside the new ones"""
    markdown: pathlib.Path | None = None
    """file to write the figures to as a page of the documentation, made from all that is in the JSON file"""


def main(args: Args) -> None:
    """Measures, prints, writes.

    Raises:
      UserError: a suite is unknown, or a file cannot be read or written; one sentence.
    """
    if unknown := set(args.suites) - set(_suites()):
        raise UserError(f"unknown suite {min(unknown)!r}; choose from: {', '.join(_suites())}.")
    before = _figures(args.against) if args.against else {}
    report = Report(PROGRAM, args)
    for name in args.suites or tuple(SUITES):
        table = Table("case", "figure", "unit", *(["before", "ratio"] if args.against else []), title=name)
        for row in _suites()[name](args.full):
            table.add_row(*_cells(row, before.get(name, {}) if args.against else None))
            report.add(name, row._asdict())
        Console().print(table, "", _summary(name), "")
    report.save_page(page(report))


def page(report: Report) -> str:
    """The figures as a page of the documentation."""
    blocks = [_HEAD]
    for name in filter(report.sections.__contains__, _suites()):
        suite = report.sections[name]
        where = f"`{suite['command']}`, on {describe(suite['environment'])}:"
        lines = (f"| {row['case']} | {_figure(row['value'])} | {row['unit']} |" for row in suite["rows"])
        table = "| case | figure | unit |\n|---|---|---|\n" + "\n".join(lines)
        blocks.append(f"## {name}\n\n{_summary(name)}\n\n{where}\n\n{table}")
    return "\n\n".join(blocks) + "\n"


_HEAD = """\
# Speed

Written by `python -m benchmarks.run`, suite by suite. `--full` measures every task, engine, agent and size; `--against FILE`
shows the figures of an earlier file beside the new ones, with their ratio. The suite `peers` measures this project's SAC
against Brax's and SBX's. It is run only when it is named, and needs environments of its own: `make peers`.

How to read it: compare figures of one suite with each other. They can hardly be compared with those of another machine, or
of the same machine at another hour. Of several measurements the fastest counts, since whatever else a machine does only
slows it down. What is compared with each other takes turns. A start is measured once.

The floor (roofline) is the least time that the arithmetic or the memory allows, whichever is longer. For the arithmetic, the
compiler counts the floating-point operations before it optimises; their rate is that of a large matrix product, measured in
the same run. For the memory, the bytes are those that have to be moved (an update reads and writes the agent's state, and
reads the batch); their rate is that of adding 1 to a large array in place. "floor / time" is the share of the time that
better programming with the same arithmetic could not save."""


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


def _figures(path: pathlib.Path) -> dict[str, dict[str, float]]:
    """The figures of an earlier run, by suite and case.

    Raises:
      UserError: the file cannot be read, or this command did not write it; one sentence.
    """
    try:
        sections = read_sections(path).items()
        return {name: {row["case"]: float(row["value"]) for row in section["rows"]} for name, section in sections}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no figures of suites: {error!r}.") from error


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

"""``python -m benchmarks.accelerator --minutes 9``: measures what a card does, the most valuable first.

It can be stopped at any time, and goes on when it is called again: each step has its row in the JSON file as soon as it
ends, what is done is not done again, and a training goes on from its checkpoint. Each step runs in a process of its own, so
that one that crashes does not stop the others. docs/gpu.md says how to use it.
"""

import dataclasses
import pathlib
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.accelerator import steps as plans
from benchmarks.accelerator.predicted import compared
from benchmarks.accelerator.runner import GRACE_S, PROGRAM, Runner, in_words, row_of
from benchmarks.accelerator.steps import Step
from benchmarks.accelerator.wheels import missing_wheels
from benchmarks.processes import Stop, locked
from benchmarks.report import check_writable, read_sections
from envs.command import Interrupted, UserError, run_command
from envs.names import nearest

COMPARISON = "predicted against measured"
"""The section of what ``--predicted`` gives."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure what a card does, the most valuable first. Stop it at any time, and call it again to go on."""

    minutes: float | None = None
    """stop after so many minutes; a training then takes up to half a minute to write its checkpoint; default: at the end"""
    steps: tuple[str, ...] = ()
    """only the steps whose names begin so, such as smoke, physics, or 'updates bfloat16'; default: all"""
    short: bool = False
    """the short form, which tries the same code on a CPU in minutes"""
    work_dir: pathlib.Path | None = None
    """folder of the figures, the runs and what the steps print; default: runs/accelerator, or runs/accelerator-short"""
    json: pathlib.Path | None = None
    """file to write the figures to, and to read what is done; default: figures.json in the work directory"""
    predicted: pathlib.Path | None = None
    """file that benchmarks.gpu_program --json wrote, to stand beside what was measured"""
    retry: bool = False
    """try again what failed"""
    checkpoint_replay: bool = False
    """keep the replays in the checkpoints of the runs: gigabytes each, but a run that was stopped then goes on exactly"""
    list: bool = False
    """only show the steps and what is done of them"""
    wheels: bool = False
    """only print what is not installed here, as name==version, for pip download"""
    extras: tuple[str, ...] = ("cuda", "warp", "playground")
    """extras of this project that --wheels looks at"""


def main(args: Args) -> int:
    """Measures, prints, writes.

    Raises:
      UserError: a name is unknown, a file cannot be read or written, or there is no card; one sentence.
      Interrupted: a signal came; what is done is written.
    """
    if args.wheels:
        print(*missing_wheels(args.extras), sep="\n")
        return 0
    steps = _chosen(args)
    work_dir = args.work_dir or pathlib.Path("runs") / ("accelerator-short" if args.short else "accelerator")
    work_dir = work_dir.expanduser().resolve()
    if args.json:
        check_writable(args.json)
    predicted = read_sections(args.predicted) if args.predicted else {}
    figures, console = args.json or work_dir / "figures.json", Console()
    if args.list:
        console.print(overview(steps, read_sections(figures) if figures.exists() else {}))
        return 0
    with locked(work_dir, GRACE_S) as lock:
        stop = Stop(args.minutes)
        runner = Runner(dataclasses.replace(args, json=figures), work_dir, lock, stop, console)
        runner.run(steps)
        if rows := compared(predicted, runner.report.rows()):
            runner.write(COMPARISON, *rows)
            console.print(comparison(rows))
    sections = runner.report.sections
    console.print(overview(steps, sections))
    if stop.signal:
        raise Interrupted(stop.signal)
    return int(any((row_of(sections, step) or {}).get("state") == "failed" for step in steps))


def _chosen(args: Args) -> list[Step]:
    steps = plans.SHORT if args.short else plans.FULL
    for name in args.steps:
        if not any(step.name.startswith(name) for step in steps):
            raise UserError(f"no step's name begins with {name!r}; did you mean {nearest(name, [x.name for x in steps])}?")
    return [step for step in steps if not args.steps or step.name.startswith(args.steps)]


def overview(steps: list[Step], sections: dict[str, dict[str, Any]]) -> Table:
    """All steps: what is done, and the figures beside those to beat."""
    table = Table("step", "state", "min", "figures", "to beat")
    for step in steps:
        row = row_of(sections, step) or {"state": "left", "spent_s": 0.0, "error": None, "figures": None}
        what = row["error"] or (in_words(row["figures"]) if row["figures"] else "")
        beat = "; ".join(f"{name}: {value:,}" for name, value in step.to_beat.items())
        table.add_row(step.name, row["state"], f"{row['spent_s'] / 60:.1f}", Text(what), beat)
    return table


def comparison(rows: list[dict[str, Any]]) -> Table:
    """The rows of `benchmarks.accelerator.predicted.compared`."""
    table = Table("program", "measured by", "nodes", "floor (ms)", "measured (ms)", "ratio", "us per node", title=COMPARISON)
    for row in rows:
        numbers = (f"{row[name]:,.3g}" for name in ("floor_ms", "measured_ms", "ratio", "us_per_node"))
        table.add_row(row["program"], row["step"], f"{row['nodes']:,}", *numbers)
    return table


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

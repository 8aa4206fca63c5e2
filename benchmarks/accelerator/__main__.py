"""``python -m benchmarks.accelerator --minutes 9``: measures what a card does, the most valuable first.

It can be stopped at any time, and goes on when it is called again: each step has its row in the JSON file as soon as it ends,
what is done is not done again, and a training goes on from its checkpoint. Each step runs in a process of its own, so that one
that crashes does not stop the others. docs/gpu.md says how to use it.
"""

import dataclasses
import json
import math
import pathlib
import signal
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.accelerator import steps as plans
from benchmarks.accelerator.predicted import compared
from benchmarks.accelerator.steps import Step
from benchmarks.accelerator.wheels import missing_wheels
from benchmarks.processes import Stop, locked, run_child
from benchmarks.report import Report, check_writable, describe, read_sections
from envs.command import Interrupted, UserError, run_command, say, sentence
from envs.names import nearest

PROGRAM = "python -m benchmarks.accelerator"

PATIENCE = 4.0
"""A measurement that takes so many times as long as expected, and at least `LEAST_S`, has failed."""
LEAST_S = 300.0
GRACE_S = 40.0
"""Seconds in which a training has to write its checkpoint when it is stopped."""
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
    args, console = dataclasses.replace(args, json=args.json or work_dir / "figures.json"), Console()
    with locked(work_dir, GRACE_S) as lock:
        stop = Stop(args.minutes)
        runner = _Runner(args, work_dir, lock, stop, console)
        if not args.list:
            runner.run(steps)
    if rows := compared(predicted, runner.report.rows()):
        runner.write_comparison(rows)
        console.print(comparison(rows))
    console.print(overview(steps, runner.report))
    if stop.signal:
        raise Interrupted(stop.signal)
    return int(any((row_of(runner.report, step) or {}).get("state") == "failed" for step in steps))


def _chosen(args: Args) -> list[Step]:
    steps = plans.SHORT if args.short else plans.FULL
    for name in args.steps:
        if not any(step.name.startswith(name) for step in steps):
            raise UserError(f"no step's name begins with {name!r}; did you mean {nearest(name, [x.name for x in steps])}?")
    return [step for step in steps if not args.steps or step.name.startswith(args.steps)]


class _Runner:
    """Makes steps until all are done or the time is over.

    Args:
      args: of the command; with the file of the figures.
      work_dir: of the files of the steps.
      lock: its descriptor, which the processes of the steps inherit.
      stop: says when to stop.
      console: where progress is shown.
    """

    def __init__(self, args: Args, work_dir: pathlib.Path, lock: int, stop: Stop, console: Console):
        self._args = args
        self._work_dir = work_dir
        self._lock = lock
        self._stop = stop
        self._console = console
        self._tried: set[str] = set()
        self._where: dict[str, Any] | None = None
        self.report = Report(PROGRAM, args)

    def run(self, steps: list[Step]) -> None:
        """Makes the steps.

        Raises:
          UserError: there is no card, or JAX does not start; one sentence.
        """
        answer, _ = self._answer(MACHINE, LEAST_S)
        if "error" in answer:
            raise UserError(sentence(f"JAX does not start here: {answer['error']}"))
        if "figures" not in answer:
            return
        figures = answer["figures"]
        self._where = figures.pop("environment")
        if figures["platform"] == "cpu" and not self._args.short:
            raise UserError("JAX finds no card here: install the extra cuda (--wheels says what is missing), or try --short.")
        self._write(MACHINE, {"state": "done", "figures": figures})
        say(self._console, f"{describe(self._where)}; the figures go to {self._args.json}")
        while not self._stop and (step := self._next(steps)):
            self._make(step)

    def _next(self, steps: list[Step]) -> Step | None:
        """The most valuable of the steps that had the fewest turns, are not done, and fit into the time."""
        left = self._stop.seconds_left
        turns = {step: self._turns(step) for step in steps if left >= 60 * step.minutes * (0.5 if step.trains else 1.0)}
        return min((step for step in turns if turns[step] >= 0), key=turns.__getitem__, default=None)

    def _turns(self, step: Step) -> int:
        """How often a step had its expected time; -1 if it is not to be made (again)."""
        row = row_of(self.report, step)
        if row is None:
            return 0
        left_alone = row["state"] == "failed" and (not self._args.retry or step.name in self._tried)
        return -1 if row["state"] == "done" or left_alone else int(row["spent_s"] / (60 * step.minutes))

    def _make(self, step: Step) -> None:
        """Makes a step, or a turn of it, and writes its row."""
        before = row_of(self.report, step) or {}
        left, share = self._stop.seconds_left, 60 * step.minutes
        again = ", goes on" if step.trains and before else ""
        time_left = f"; {left / 60:.1f} min are left" if math.isfinite(left) else ""
        say(self._console, f"{step.name}{again}: {step.does} (about {step.minutes:g} min{time_left})")
        self._tried.add(step.name)
        # Without a limit of time nobody waits for a turn.
        limit = max(LEAST_S, PATIENCE * share) if not step.trains else share if math.isfinite(left) else math.inf
        answer, spent = self._answer(step, limit)
        if not answer and not step.trains and not self._stop:
            answer = {"error": f"It took longer than {limit / 60:g} minutes."}
        figures = answer.get("figures", before.get("figures"))
        complete = "figures" in answer and figures.get("complete", True)
        state = "failed" if "error" in answer else "done" if complete else "stopped"
        row = {
            "state": state,
            "error": answer.get("error"),
            "does": step.does,
            "expected_minutes": step.minutes,
            "spent_s": spent + before.get("spent_s", 0.0),
            "to_beat": dict(step.to_beat),
            "figures": figures,
        }
        self._write(step, row)
        say(self._console, f"  {state} after {spent:.0f} s: {answer.get('error') or in_words(figures)}")

    def _write(self, step: Step, row: dict[str, Any]) -> None:
        # A new report, since a section that one report writes twice would keep both rows.
        self.report = Report(PROGRAM, self._args, self._where)
        self.report.add(step.name, {"step": step.name, **row})

    def _answer(self, step: Step, limit_s: float) -> tuple[dict[str, Any], float]:
        """What the process of a step says, and the seconds that it took. It says nothing if it was stopped."""
        folder = self._work_dir / step.name.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        output, path = folder / "output.txt", folder / "answer.json"
        path.unlink(missing_ok=True)
        own = {"run_dir": str(folder / "run"), "checkpoint_replay": self._args.checkpoint_replay} if step.trains else {}
        request = {"function": step.function, "options": {**step.options, **own}, "answer": str(path)}
        command = [sys.executable, "-m", "benchmarks.accelerator.child", json.dumps(request)]
        started, stopped = time.monotonic(), False

        def over() -> bool:
            nonlocal stopped
            stopped = bool(self._stop) or time.monotonic() >= started + limit_s
            return stopped

        code = run_child(command, output, self._lock, over, tied=True, grace_s=GRACE_S)
        spent = time.monotonic() - started
        if path.exists():
            return json.loads(path.read_text()), spent
        return {} if stopped else {"error": _crash(code, output)}, spent


MACHINE = Step("machine", "asks the card and its driver who they are", 0.2, f"{plans.MEASUREMENTS}:machine", {})
"""What every call begins with."""


def row_of(report: Report, step: Step) -> dict[str, Any] | None:
    """What is known of a step; None if it was never started."""
    return report.sections[step.name]["rows"][-1] if step.name in report.sections else None


def _crash(code: int, output: pathlib.Path) -> str:
    """How a process ended that left no answer."""
    how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
    lines = [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip()]
    return f"{how}, {lines[-1][:300] if lines else 'no output'}"


def in_words(figures: dict[str, Any] | None) -> str:
    """The figures that matter most, in a few words."""
    found = figures or {}
    words = [text.format(found[name]) for name, text in _WORDS.items() if found.get(name)]
    different = [f"{name}: {', '.join(found[name][:3]) or 'equal'}" for name in _COMPARED if name in found]
    return ", ".join(words + different) or "no figures yet"


_WORDS = {
    "env_steps": "{:,} env steps",
    "updates": "{:,} updates",
    "best_return": "best return {:.1f}",
    "env_steps_per_s": "{:,.0f} env steps/s",
    "physics_steps_per_s": "{:,.0f} physics steps/s",
    "updates_per_s": "{:,.0f} updates/s",
    "diverged": "{} BLEW UP",
    "skipped_updates": "{:.0f} updates SKIPPED",
}
_COMPARED = ("different_twice", "different_resumed")


def overview(steps: list[Step], report: Report) -> Table:
    """All steps: what is done, and the figures beside those to beat."""
    table = Table("step", "state", "min", "figures", "to beat")
    for step in steps:
        row = row_of(report, step) or {"state": "left", "spent_s": 0.0, "error": None, "figures": None}
        what = row["error"] or (in_words(row["figures"]) if row["figures"] else "")
        beat = "; ".join(f"{name}: {value:,.6g}" for name, value in step.to_beat.items())
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

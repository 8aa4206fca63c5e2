"""Makes the steps, each in a process of its own, and writes a row for each as soon as it ends."""

import json
import math
import pathlib
import signal
import sys
import time
from typing import Any

from rich.console import Console

from benchmarks.accelerator.steps import MEASUREMENTS, Step
from benchmarks.processes import Stop, run_child
from benchmarks.report import Report, describe
from envs.command import UserError, say, sentence

PROGRAM = "python -m benchmarks.accelerator"

PATIENCE = 4.0
"""A measurement that takes so many times as long as expected, and at least `LEAST_S`, has failed."""
LEAST_S = 300.0
GRACE_S = 40.0
"""Seconds in which a training has to write its checkpoint when it is stopped."""

MACHINE = Step("machine", "asks the card and its driver who they are", 0.2, f"{MEASUREMENTS}:machine", {})
"""What every call begins with."""


class Runner:
    """Makes steps until all are done or the time is over.

    Args:
      args: of the command; with the file of the figures.
      work_dir: of the files of the steps.
      lock: its descriptor, which the processes of the steps inherit.
      stop: says when to stop.
      console: where progress is shown.
    """

    def __init__(self, args: Any, work_dir: pathlib.Path, lock: int, stop: Stop, console: Console):
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
        if not answer:
            if self._stop:
                return
            raise UserError(f"JAX does not start here within {LEAST_S / 60:.3g} minutes.")
        figures = answer["figures"]
        self._where = figures.pop("environment")
        if figures["platform"] == "cpu" and not self._args.short:
            raise UserError("JAX finds no card here: install the extra cuda (see --wheels), or try --short.")
        self.write(MACHINE.name, {"step": MACHINE.name, "state": "done", "figures": figures})
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
        row = row_of(self.report.sections, step)
        if row is None:
            return 0
        left_alone = row["state"] == "failed" and (not self._args.retry or step.name in self._tried)
        return -1 if row["state"] == "done" or left_alone else int(row["spent_s"] / (60 * step.minutes))

    def _make(self, step: Step) -> None:
        """Makes a step, or a turn of it, and writes its row."""
        before = row_of(self.report.sections, step) or {}
        left, share = self._stop.seconds_left, 60 * step.minutes
        again = ", goes on" if step.trains and before else ""
        time_left = f"; {left / 60:.1f} min are left" if math.isfinite(left) else ""
        say(self._console, f"{step.name}{again}: {step.does} (about {step.minutes:g} min{time_left})")
        self._tried.add(step.name)
        # Without a limit of time nobody waits for a turn.
        limit = max(LEAST_S, PATIENCE * share) if not step.trains else share if math.isfinite(left) else math.inf
        answer, spent = self._answer(step, limit)
        if not answer and not step.trains and not self._stop:
            answer = {"error": f"It took longer than {limit / 60:.3g} minutes."}
        figures = answer.get("figures", before.get("figures"))
        complete = "figures" in answer and figures.get("complete", True)
        state = "failed" if "error" in answer else "done" if complete else "stopped"
        row = {
            "step": step.name,
            "state": state,
            "error": answer.get("error"),
            "does": step.does,
            "expected_minutes": step.minutes,
            "spent_s": spent + before.get("spent_s", 0.0),
            "to_beat": dict(step.to_beat),
            "figures": figures,
        }
        self.write(step.name, row)
        say(self._console, f"  {state} after {spent:.0f} s: {answer.get('error') or in_words(figures)}")

    def write(self, section: str, *rows: dict[str, Any]) -> None:
        """Writes the rows of a section, in place of those that it has."""
        # A new report, since one report keeps what it wrote itself.
        self.report = Report(PROGRAM, self._args, self._where)
        for row in rows:
            self.report.add(section, row)

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


def row_of(sections: dict[str, dict[str, Any]], step: Step) -> dict[str, Any] | None:
    """What is known of a step; None if it was never started."""
    return sections[step.name]["rows"][-1] if step.name in sections else None


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

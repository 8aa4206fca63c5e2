"""What a user sees while a run goes on: a live bar on a terminal, plain lines elsewhere."""

import contextlib
import datetime
import io
import sys
from types import TracebackType
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from envs.command import say


class PatientOutput:
    """Standard output that never fails.

    A run must not end because its output is a file on a full disk, a pipe that nobody reads, or closed from the start.
    """

    def __init__(self) -> None:
        self._nowhere = io.StringIO()

    @property
    def _stream(self) -> IO[str]:
        """Standard output; without one, what takes its place and is never written to."""
        return self._nowhere if sys.stdout is None else sys.stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes the text if that is possible; returns its length."""
        if sys.stdout is not None:
            with contextlib.suppress(OSError):
                sys.stdout.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes standard output if that is possible."""
        with contextlib.suppress(OSError):
            self._stream.flush()


class ProgressDisplay:
    """Shows how far a run is. It is a context manager.

    Args:
      console: where to show it.
      total_steps: environment steps of the whole run.
      env_steps: environment steps at which this part of the run starts.
    """

    def __init__(self, console: Console, total_steps: int, env_steps: int):
        self._console = console
        self._total = total_steps
        self._start = env_steps
        self._bar = None
        if console.is_terminal:
            columns = (
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}", markup=False),
            )
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task("", total=total_steps, completed=env_steps)

    def __enter__(self) -> "ProgressDisplay":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, env_steps: int) -> None:
        """Moves the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=env_steps)

    def show(self, line: dict[str, Any]) -> None:
        """Shows one line of metrics."""
        steps = line["env_steps"]
        text = describe(line)
        if self._bar is not None:
            self._bar.update(self._task, completed=steps, description=text)
            return
        speed = line["speed/env_steps_per_s"]
        left = datetime.timedelta(seconds=round((self._total - steps) / speed))
        say(self._console, f"{steps:>12,d} / {self._total:,d} steps  {text}  {left} left")


def describe(line: dict[str, Any]) -> str:
    """The figures that a user watches, in one short text."""
    parts = [
        f"{line['speed/env_steps_per_s']:,.0f} steps/s",
        f"{line['speed/updates_per_s']:,.0f} updates/s",
    ]
    return_mean = line.get("eval/return_mean")
    if return_mean is not None:
        parts.append(f"eval {return_mean:.1f}")
    if line.get("train/return_mean") is not None:
        parts.append(f"return {line['train/return_mean']:.1f}")
    if line.get("agent/log_alpha") is not None:
        parts.append(f"log alpha {line['agent/log_alpha']:.2f}")
    parts.append(f"diverged {line['safety/diverged_total']}")
    if line.get("safety/skipped_updates"):
        parts.append(f"skipped updates {line['safety/skipped_updates']:.0f}")
    if line.get("safety/overflow"):
        parts.append(f"{line['safety/overflow']:.0f} steps with too few --physics.max-contacts or --physics.max-constraints")
    return "  ".join(parts)


def together(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Merges the lines of several seeds. Counts are added up; all else is averaged over the seeds that measured it."""
    if len(lines) == 1:
        return lines[0]

    def merge(name: str) -> Any:
        values = [line[name] for line in lines if line.get(name) is not None]
        if not values or name == "env_steps":
            return lines[0].get(name)
        return sum(values) if name in _COUNTS else sum(values) / len(values)

    return {name: merge(name) for line in lines for name in line}


_COUNTS = ("safety/diverged_total", "safety/skipped_updates", "safety/overflow")
"""Which of the figures shown are counts."""

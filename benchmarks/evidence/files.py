"""What is kept of the runs: their directories while they are under way, one small file for each that has ended."""

import contextlib
import dataclasses
import gzip
import json
import pathlib
import shutil
import time
from typing import Any

from benchmarks.evidence.studies import Run


class DamagedError(Exception):
    """A run directory lacks what a finished run has; the text says what."""


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of one run.

    Attributes:
      run: the run.
      work_dir: holds the run directories, and beside each of them what the runner knows of it.
      results: holds what has ended.
    """

    run: Run
    work_dir: pathlib.Path
    results: pathlib.Path

    @property
    def directory(self) -> pathlib.Path:
        """The run directory."""
        return self.work_dir / self.run.path

    @property
    def result(self) -> pathlib.Path:
        """The metrics, once the run has ended."""
        return self.results / f"{self.run.path}.jsonl.gz"

    @property
    def output(self) -> pathlib.Path:
        """What the program printed."""
        return self._beside("log")

    @property
    def starts(self) -> pathlib.Path:
        """A JSON line for each start: where it was, with which versions."""
        return self._beside("starts")

    @property
    def failure(self) -> pathlib.Path:
        """Why the run failed, if it did."""
        return self._beside("failed")

    def _beside(self, ending: str) -> pathlib.Path:
        return self.directory.with_name(f"{self.directory.name}.{ending}")

    def last_words(self) -> str:
        """The last line that the program printed."""
        lines = self.output.read_text(errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "no output")

    def keep(self) -> None:
        """Writes the result of a run that has ended: a line that says what was run and where, and then all log lines.

        Numbers have six digits. Equal lines give equal bytes. The replays in the checkpoints are removed, which only a run
        that goes on needs.

        Raises:
          DamagedError: the log is not that of a whole run.
        """
        lines = read_lines(self.directory / "metrics.jsonl")
        config = json.loads((self.directory / "config.json").read_text())
        del config["run_dir"]  # a path of this machine
        if not lines or lines[-1]["env_steps"] < config["total_steps"]:
            raise DamagedError("metrics.jsonl ends before the run does")
        starts = read_lines(self.starts)
        head = {
            "study": self.run.study.name,
            "task": self.run.task,
            "variant": self.run.variant.name,
            "seed": self.run.seed,
            "flags": self.run.flags,
            "wall_s": round(lines[-1]["wall_s"], 1),  # with evaluations and checkpoints, without compilation
            "train_s": round(sum(line["time/train_s"] for line in lines), 1),  # training alone
            "environments": [start for place, start in enumerate(starts) if start not in starts[:place]],
            "config": config,
        }
        text = "".join(json.dumps(line) + "\n" for line in [head, *map(_short, lines)])
        self.result.parent.mkdir(parents=True, exist_ok=True)
        draft = self.result.with_suffix(".draft")
        draft.write_bytes(gzip.compress(text.encode(), mtime=0))
        draft.replace(self.result)
        for replay in self.directory.glob("checkpoints/*/replay"):
            shutil.rmtree(replay)

    def row(self) -> tuple[str, ...]:
        """Of the table of `status`."""
        ended = self.result.exists()
        lines = read_lines(self.result)[1:] if ended else read_lines(self.directory / "metrics.jsonl")
        returns = [line["eval/return_mean"] for line in lines if line.get("eval/return_mean") is not None]
        numbers = [""] * 5
        if lines:
            last = lines[-1]
            shown = [f"{returns[-1]:.0f}", f"{max(returns):.0f}"] if returns else ["", ""]
            numbers = [f"{last['env_steps']:,}", f"{last['updates']:,}", *shown, f"{last['wall_s'] / 3600:.2f}"]
        return (str(self.run.path), "ended" if ended else self._state(), *numbers)

    def _state(self) -> str:
        if self.failure.exists():
            return f"failed: {self.failure.read_text().strip()}"
        if not self.directory.exists():
            return "left"
        written = max(path.stat().st_mtime for path in (self.directory, *self.directory.glob("metrics.jsonl")))
        return f"under way, wrote {(time.time() - written) / 60:.0f} min ago"


def _short(line: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{x:.6g}") if isinstance(x, float) else x for name, x in line.items()}


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The objects in a file of JSON lines, compressed or not, up to the first that is cut short or damaged."""
    lines: list[dict[str, Any]] = []
    opened = gzip.open if path.suffix == ".gz" else open
    with contextlib.suppress(OSError, EOFError, ValueError), opened(path, "rt") as file:
        lines.extend(json.loads(text) for text in file)
    return lines


def status(files: list[Files]) -> str:
    """A table of all runs: their state, how far they have come, and what they return."""
    rows = [("run", "state", "steps", "updates", "return", "best", "hours"), *(one.row() for one in files)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = "<<>>>>>"
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    )

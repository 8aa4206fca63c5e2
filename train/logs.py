"""What a run writes down: one JSON object per logging interval, TensorBoard, and Weights & Biases on request."""

import contextlib
import errno
import json
import math
import os
import pathlib
import time
from typing import Any

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from envs.command import UserError, warn
from train.files import replace_file

METRICS_FILE = "metrics.jsonl"


def flatten(metrics: dict[str, Any]) -> dict[str, float | int | None]:
    """Plain numbers under flat keys: vectors become ``key/0``, ``key/1``, ...; what was not measured (NaN) becomes None."""
    flat: dict[str, float | int | None] = {}
    for name, value in metrics.items():
        array = np.asarray(value)
        for index, number in enumerate(array.ravel().tolist()):
            key = f"{name}/{index}" if array.ndim else name
            flat[key] = None if isinstance(number, float) and not math.isfinite(number) else number
    return flat


class Logs:
    """Writes a run's metrics into its run directory.

    Lines that cannot be written, on a full disk say, are kept in memory and tried again with the next one.

    Args:
      run_dir: the run directory.
      env_steps: the last line to keep: those beyond it, left over from work that was lost, are dropped.
      wandb_config: start a Weights & Biases run with this config; None for none.

    Raises:
      UserError: the file cannot be written; one sentence.
    """

    def __init__(self, run_dir: pathlib.Path, env_steps: int, wandb_config: dict[str, Any] | None = None):
        self._run_dir = run_dir
        self._path = run_dir / METRICS_FILE
        self._pending: list[dict[str, Any]] = []
        self._failing = False
        self._events: EventsWriter | None = None
        self._events_files = 0
        lines = [line for line in read_lines(self._path) if line["env_steps"] <= env_steps]
        try:
            replace_file(self._path, "".join(map(_text, lines)).encode())
        except OSError as error:
            raise UserError(f"{self._path} cannot be written: {error.strerror}.") from error
        self._wandb: Any = None
        if wandb_config is not None:
            import wandb

            self._wandb = wandb.init(
                project="mjx-tecrl",
                name=run_dir.name,
                group=run_dir.parent.name,
                dir=str(run_dir),
                config=wandb_config,
                reinit="create_new",  # one for each seed
            )

    def write(self, metrics: dict[str, Any]) -> dict[str, float | int | None]:
        """Writes one line; ``metrics`` holds ``env_steps``. Returns it flattened.

        Raises:
          UserError: the file is gone.
        """
        line = flatten(metrics)
        if not self._path.exists():
            raise UserError(f"{self._path} is gone: the run stops, since nothing of it would remain.")
        self._pending.append(line)
        try:
            self._write_pending()
            self._failing = False
        except OSError as error:
            if not self._failing:
                warn(f"{self._path} cannot be written ({error.strerror}); training goes on, and its lines wait in memory.")
            self._failing = True
        if self._wandb is not None:
            self._wandb.log(_numbers(line), step=line["env_steps"])
        return line

    def _write_pending(self) -> None:
        data = "".join(map(_text, self._pending)).encode()
        with self._path.open("ab", buffering=0) as file:
            whole = file.tell()
            # One write of whole lines, or none of it: a reader never sees half of one.
            if file.write(data) < len(data):
                file.truncate(whole)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        first, lines = self._pending[0]["env_steps"], self._pending
        self._pending = []
        try:
            # Not through SummaryWriter, whose thread dies of a full disk, and with it, waiting, the run.
            events = self._events = self._events or self._open_events(first)
            for line in lines:
                values = [Summary.Value(tag=name, simple_value=x) for name, x in _numbers(line).items()]
                events.write_event(Event(wall_time=time.time(), step=line["env_steps"], summary=Summary(value=values)))
            events.flush()
        except OSError:
            self._events = None  # half a record ends a file for its readers: the next line begins another one
            raise

    def _open_events(self, first_step: int) -> EventsWriter:
        """A new file for TensorBoard, which replaces what other files say of this step and later ones."""
        self._events_files += 1
        events = EventsWriter(str(self._run_dir / "events"), f".{os.getpid()}.{self._events_files}")
        events.write_event(Event(wall_time=time.time(), step=first_step, session_log=SessionLog(status=SessionLog.START)))
        return events

    def close(self) -> None:
        """Closes everything."""
        if self._events is not None:
            with contextlib.suppress(OSError):
                self._events.close()
        if self._wandb is not None:
            self._wandb.finish()


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line) + "\n"


def _numbers(line: dict[str, float | int | None]) -> dict[str, float | int]:
    """What was measured."""
    return {name: value for name, value in line.items() if value is not None}


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file; a last line cut short by a crash is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def evaluations(run_dirs: list[pathlib.Path]) -> dict[int, float]:
    """Mean return of the evaluations that all of these runs had, by environment steps, ascending."""
    of_each = []
    for path in run_dirs:
        lines = read_lines(path / METRICS_FILE)
        of_each.append({x["env_steps"]: x["eval/return_mean"] for x in lines if x.get("eval/return_mean") is not None})
    common = sorted(set.intersection(*map(set, of_each)))
    return {steps: sum(one[steps] for one in of_each) / len(of_each) for steps in common}

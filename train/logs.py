"""The logs of a run: one JSON object for each logging interval, events for TensorBoard, and Weights & Biases on request."""

import contextlib
import dataclasses
import errno
import json
import math
import os
import pathlib
import secrets
import time
from typing import Any

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from envs.command import UserError, first_line, warn
from train.files import replace_file

METRICS_FILE = "metrics.jsonl"
SET_ASIDE_FILE = "metrics.set_aside.jsonl"
"""What was taken out of the metrics file: damaged lines, and lines of work that was lost."""
WANDB_ID_FILE = "wandb-id"


def flatten(metrics: dict[str, Any]) -> dict[str, float | int | None]:
    """Metrics as plain numbers under flat keys.

    A vector becomes ``key/0``, ``key/1``, and so on. What was not measured (NaN) becomes None.
    """
    flat: dict[str, float | int | None] = {}
    for name, value in metrics.items():
        array = np.asarray(value)
        for index, number in enumerate(array.ravel().tolist()):
            key = f"{name}/{index}" if array.ndim else name
            flat[key] = None if isinstance(number, float) and not math.isfinite(number) else number
    return flat


class Logs:
    """Writes a run's metrics into its run directory.

    Lines that cannot be written, for instance because the disk is full, wait in memory and are tried again with the next
    one.

    Nothing that the metrics file holds gets lost, except a last line that a crash cut short. Other lines that do not stay
    move to `SET_ASIDE_FILE`, and a warning says which of them were damaged.

    Args:
      run_dir: the run directory.
      env_steps: environment steps of the last line that stays. Later lines are of work that was lost, which is done again.
      wandb_config: the config to start a Weights & Biases run with; None starts none.

    Raises:
      UserError: the metrics file cannot be written; one sentence.
    """

    def __init__(self, run_dir: pathlib.Path, env_steps: int, wandb_config: dict[str, Any] | None = None):
        self._run_dir = run_dir
        self._path = run_dir / METRICS_FILE
        self._pending: list[dict[str, Any]] = []
        self._failing = False
        self._events: EventsWriter | None = None
        self._events_files = 0
        log = read_log(self._path)
        stay = [raw for raw, line in log.intact if line["env_steps"] <= env_steps]
        go = [raw for raw, line in log.intact if line["env_steps"] > env_steps] + [raw for _, raw in log.damaged]
        try:
            if go:  # they are there before they go here
                with (run_dir / SET_ASIDE_FILE).open("ab") as aside:
                    aside.writelines(raw + b"\n" for raw in go)
            replace_file(self._path, b"".join(raw + b"\n" for raw in stay))
            if log.damaged:
                warn(f"{log.describe_damage(self._path)}: moved to {run_dir / SET_ASIDE_FILE}; all other lines stay.")
        except OSError as error:
            raise UserError(f"{self._path} cannot be written: {error.strerror}.") from error
        self._wandb: Any = None if wandb_config is None else _wandb_run(run_dir, wandb_config)

    def write(self, metrics: dict[str, Any]) -> dict[str, float | int | None]:
        """Writes ``metrics``, which hold ``env_steps``, as one line. Returns the line.

        Raises:
          UserError: the metrics file is gone; one sentence.
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
            end = file.tell()
            # All lines are written at once, or none of them is, so that no reader sees half a line.
            if file.write(data) < len(data):
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        first, lines = self._pending[0]["env_steps"], self._pending
        self._pending = []
        try:
            # SummaryWriter is not used: its thread dies when the disk is full, and then the run would wait for it forever.
            events = self._events = self._events or self._open_events(first)
            for line in lines:
                values = [Summary.Value(tag=name, simple_value=x) for name, x in _numbers(line).items()]
                events.write_event(Event(wall_time=time.time(), step=line["env_steps"], summary=Summary(value=values)))
            events.flush()
        except OSError:
            self._events = None  # readers stop at a record that was cut short, so the next line begins a new file
            raise

    def _open_events(self, first_step: int) -> EventsWriter:
        """Begins a new file for TensorBoard. It replaces what other files say about this step and later ones."""
        self._events_files += 1
        events = EventsWriter(str(self._run_dir / "events"), f".{os.getpid()}.{self._events_files}")
        events.write_event(Event(wall_time=time.time(), step=first_step, session_log=SessionLog(status=SessionLog.START)))
        return events

    def close(self) -> None:
        """Closes the files, and ends the Weights & Biases run."""
        if self._events is not None:
            with contextlib.suppress(OSError):
                self._events.close()
        if self._wandb is not None:
            self._wandb.finish()


def check_wandb() -> None:
    """Checks that Weights & Biases can be used.

    Raises:
      UserError: it is not installed, or there is no account to log in to; one sentence.
    """
    try:
        import wandb
    except ImportError as error:
        raise UserError("--wandb needs Weights & Biases: pip install 'mjx-tecrl[wandb]'.") from error
    try:
        wandb.login()
    except wandb.Error as error:
        raise UserError(
            "--wandb needs an account: call wandb login, or set WANDB_API_KEY, or set WANDB_MODE to offline "
            f"({first_line(error)})."
        ) from error


def _wandb_run(run_dir: pathlib.Path, config: dict[str, Any]) -> Any:
    """Begins the Weights & Biases run of a run directory, or goes on with it. The directory keeps its id.

    Raises:
      UserError: the service refuses; one sentence.
    """
    import wandb

    path = run_dir / WANDB_ID_FILE
    try:
        if not path.exists():
            replace_file(path, secrets.token_hex(8).encode())
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", "mjx-tecrl"),  # W&B itself reads WANDB_ENTITY
            id=path.read_text().strip(),
            resume="allow",
            name=run_dir.name,
            group=run_dir.parent.name,
            dir=str(run_dir),
            config=config,
            reinit="create_new",  # one for each seed
        )
    except (OSError, wandb.Error) as error:
        raise UserError(f"Weights & Biases cannot be used: {first_line(error)}.") from error


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line) + "\n"


def _numbers(line: dict[str, float | int | None]) -> dict[str, float | int]:
    """The entries of a line that were measured."""
    return {name: value for name, value in line.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Log:
    """The lines of a metrics file.

    Attributes:
      intact: each line as it stands in the file, and what it says.
      damaged: the number of each line that is not a line of metrics, from 1 on, and the line as it stands in the file.
    """

    intact: list[tuple[bytes, dict[str, Any]]]
    damaged: list[tuple[int, bytes]]

    def describe_damage(self, path: pathlib.Path) -> str:
        """Which lines of the file are damaged, in words."""
        numbers = [str(number) for number, _ in self.damaged]
        some = ", ".join(numbers[:5]) + (f" and {len(numbers) - 5} others" if len(numbers) > 5 else "")
        return f"{path} has damaged lines (number {some})"


def read_log(path: pathlib.Path) -> Log:
    """Reads a metrics file. A last line that a crash cut short is left out; a file that is not there has no lines.

    Raises:
      UserError: the file cannot be read; one sentence.
    """
    log = Log([], [])
    try:
        *whole, last = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return log
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    for number, raw in enumerate([*whole, last], start=1):
        if not raw.strip():
            continue
        line = _parsed(raw)
        if line is not None:
            log.intact.append((raw, line))
        elif number <= len(whole):
            log.damaged.append((number, raw))
    return log


def _parsed(raw: bytes) -> dict[str, Any] | None:
    """What a line of metrics says; None if it is not one."""
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):  # not UTF-8 is a ValueError too
        return None
    numbers = isinstance(line, dict) and all(isinstance(value, int | float | None) for value in line.values())
    return line if numbers and isinstance(line.get("env_steps"), int) else None


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """What the lines of a metrics file say. Damaged lines are left out.

    Raises:
      UserError: the file cannot be read; one sentence.
    """
    return [line for _, line in read_log(path).intact]


def evaluations(run_dirs: list[pathlib.Path]) -> dict[int, float]:
    """Mean return, over these runs, of the evaluations that all of them had; by environment steps, ascending."""
    of_each = []
    for path in run_dirs:
        lines = read_lines(path / METRICS_FILE)
        of_each.append({x["env_steps"]: x["eval/return_mean"] for x in lines if x.get("eval/return_mean") is not None})
    common = sorted(set.intersection(*map(set, of_each)))
    return {steps: sum(one[steps] for one in of_each) / len(of_each) for steps in common}

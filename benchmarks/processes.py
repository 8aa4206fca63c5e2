"""Programs that a benchmark starts one after another: one at a time, and stopped by a signal or when the time is over.

It imports neither JAX nor anything that does, so that who starts the programs takes nothing from them.
"""

import contextlib
import fcntl
import math
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from train.interrupt import stop_signals

ROOT = pathlib.Path(__file__).resolve().parents[1]
"""Where the programs start."""


class Stop:
    """Whether the runner has to stop: after one of `stop_signals`, or when its time is over.

    Args:
      minutes: its time; None for no limit.

    Attributes:
      signal: number of the signal that came; 0 as long as there was none.
    """

    def __init__(self, minutes: float | None):
        self.signal = 0
        self._end = math.inf if minutes is None else time.monotonic() + 60 * minutes
        for number in stop_signals():
            signal.signal(number, self._notice)

    def _notice(self, number: int, frame: Any) -> None:
        self.signal = number

    def __bool__(self) -> bool:
        return self.signal != 0 or self.seconds_left <= 0

    @property
    def seconds_left(self) -> float:
        """Seconds until the time is over; infinite without a limit."""
        return self._end - time.monotonic()


@contextlib.contextmanager
def locked(work_dir: pathlib.Path, patience_s: float = 0.0) -> Iterator[int]:
    """Keeps other runners out of the work directory; yields the descriptor of the lock.

    The programs that the runner starts inherit the lock. So it outlasts a runner that is killed while its run goes on.

    Args:
      work_dir: is made if it is not there.
      patience_s: seconds to wait for a lock that is held.

    Raises:
      SystemExit: another runner, or a run that one started, holds the lock. A sentence is printed; the exit code is 2.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + patience_s
    with (work_dir / ".lock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= end:
                    print(f"error: another runner works in {work_dir}, or a run that it started.", file=sys.stderr)
                    raise SystemExit(2) from error
                time.sleep(0.2)
        yield file.fileno()


def run_child(
    command: list[str],
    output: pathlib.Path,
    lock: int,
    over: Callable[[], bool],
    *,
    tied: bool = False,
    grace_s: float = math.inf,
) -> int:
    """Runs a program until it ends, or until it has to: then it gets SIGTERM. Returns its exit code.

    What the program started itself gets SIGTERM with it, and is killed when it has ended.

    Args:
      command: the program and its arguments.
      output: what it prints is added to this file.
      lock: the descriptor that `locked` yielded.
      over: whether the program has to end.
      tied: the program's standard input is a pipe that ends when this process does, even if it is killed.
      grace_s: seconds after SIGTERM until the program is killed.
    """
    with output.open("a") as file:
        # In a process group of its own: a terminal sends Ctrl-C to the whole group, and the second signal that a run gets
        # ends it without a checkpoint.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            pass_fds=[lock],
            process_group=0,
        )
    try:
        while process.poll() is None and not over():
            time.sleep(0.1)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(None if grace_s == math.inf else grace_s)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
    finally:
        if process.stdin is not None:
            process.stdin.close()

"""Signals that ask a run to stop: noticed at once, and acted on between two portions of work."""

import os
import signal
import threading
from types import TracebackType
from typing import Any

from rich.console import Console

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What asks a run to stop: Ctrl-C, a scheduler, a terminal that closes, and a scheduler's warning (USR1 or USR2)."""

INSISTING_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The second of these ends a run on the spot. The others do not: a shell repeats SIGHUP, and SIGTERM follows a warning."""


def stop_signals() -> list[signal.Signals]:
    """`STOP_SIGNALS` without SIGHUP where that is ignored, as under ``nohup``."""
    return [one for one in STOP_SIGNALS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]


class Interrupt:
    """A context manager in which `stop_signals` only set a flag. A second SIGINT or SIGTERM ends the process on the spot.

    In another thread than the main one Python allows no handlers: there, signals do what they did before.

    Python runs signal handlers in the main thread, which may be inside a compilation or a program that takes a minute. So
    another thread waits for the byte that Python's C code writes into a pipe as soon as a signal comes.

    Args:
      console: where to say that the signal was noticed.

    Attributes:
      signal: the number of the signal that came; None if none has come.
    """

    def __init__(self, console: Console) -> None:
        self.signal: int | None = None
        self._console = console
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is not threading.main_thread():
            return self
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._previous_fd = signal.set_wakeup_fd(self._write)
        for number in stop_signals():
            self._previous[number] = signal.signal(number, lambda number, frame: None)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._previous:  # it had no handlers
            return
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._write)  # this ends the thread

    def _watch(self) -> None:
        insisted = False
        while data := os.read(self._read, 1):
            number = data[0]
            if number not in self._previous:
                continue
            if insisted and number in INSISTING_SIGNALS:
                self._console.show_cursor(True)  # a progress bar has hidden it
                os._exit(128 + number)
            first, insisted = self.signal is None, insisted or number in INSISTING_SIGNALS
            self.signal = self.signal or number
            if number in INSISTING_SIGNALS:
                self._console.print("Stopping, with a checkpoint. Once more to stop without.")
            elif first:
                self._console.print("Stopping, with a checkpoint.")
        os.close(self._read)

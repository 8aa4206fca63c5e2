"""Ctrl-C and SIGTERM: noticed at once, and acted on between two portions of work."""

import os
import signal
import threading
from types import TracebackType
from typing import Any

from rich.console import Console


class Interrupt:
    """A context manager in which SIGINT and SIGTERM only set a flag. A second signal ends the process on the spot.

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
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._previous_fd = signal.set_wakeup_fd(self._write)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, lambda number, frame: None)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._write)  # this ends the thread

    def _watch(self) -> None:
        while data := os.read(self._read, 1):
            number = data[0]
            if number not in self._previous:
                continue
            if self.signal is not None:
                self._console.show_cursor(True)  # a progress bar has hidden it
                os._exit(128 + number)
            self.signal = number
            self._console.print("Stopping, with a checkpoint. Once more to stop without.")
        os.close(self._read)

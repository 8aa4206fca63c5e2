"""Keeps Orbax and TensorStore from telling on standard error what `train.checkpoints` raises as an error.

All of this holds for the whole process, since loggers and ``sys.unraisablehook`` do.
"""

import gc
import logging
import sys
from typing import Any


def quiet_orbax() -> None:
    """Installs the filters, once; they stay for the rest of the process.

    `train.checkpoints` calls this when it first writes or reads a checkpoint, so that importing it changes nothing. The
    filters stay because a write that failed may end at any time after it was given up.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_is_news)  # adding the same one again has no effect
    if not isinstance(sys.unraisablehook, _Hook):
        sys.unraisablehook = _Hook()


def forget_failed_tasks() -> None:
    """Collects the tasks of a write that failed. Some of them would print that they failed when they are collected."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        gc.collect()
    finally:
        sys.unraisablehook = hook


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record says something that is not raised as well.

    What goes wrong in one of Orbax's tasks is raised, and reported once. Each of the tasks would log it too, with a
    traceback.
    """
    return not any(words in record.getMessage() for words in ("exception was never retrieved", "_SignalingThread.run()"))


class _Hook:
    """``sys.unraisablehook``, except for one error that is no news.

    When one write of several has failed, nobody waits for the others any more. TensorStore reports their end as "Event loop
    is closed".
    """

    def __init__(self) -> None:
        self._report = sys.unraisablehook

    def __call__(self, unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            self._report(unraisable)

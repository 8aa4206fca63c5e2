"""The filters that keep Orbax quiet."""

import subprocess
import sys

PROGRAM = """
import logging, sys
before = sys.unraisablehook
import train.checkpoints
from train.checkpoints.quiet import _is_news, quiet_orbax

loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
assert sys.unraisablehook is before
assert not any(_is_news in logger.filters for logger in loggers)
quiet_orbax()
hook = sys.unraisablehook
assert hook is not before
quiet_orbax()
assert sys.unraisablehook is hook
assert [logger.filters.count(_is_news) for logger in loggers] == [1, 1]
"""


def test_they_are_installed_once_and_not_by_an_import() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr

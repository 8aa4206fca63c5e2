"""Signals."""

import os
import signal
import subprocess
import sys
import time

from rich.console import Console

from train.interrupt import Interrupt


def test_a_signal_sets_the_flag_while_the_main_thread_is_busy() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt(Console(quiet=True)) as interrupt:
        assert interrupt.signal is None
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while interrupt.signal is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert interrupt.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1


SECOND_SIGNAL = """
import hashlib, os, signal
from rich.console import Console
from train.interrupt import Interrupt
with Interrupt(Console()) as interrupt:
    os.kill(os.getpid(), signal.SIGINT)
    while interrupt.signal is None:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    # This spends minutes in C, as a compilation does. Meanwhile Python runs no signal handler in the main thread.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


def test_the_second_signal_ends_the_process_at_once() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", SECOND_SIGNAL], capture_output=True, text=True, timeout=100)
    assert done.returncode == 128 + signal.SIGTERM
    assert "Once more to stop without" in done.stdout
    assert time.monotonic() - started < 90

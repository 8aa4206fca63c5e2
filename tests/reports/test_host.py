"""What a run meets on the machine it runs on: signals, threads, missing folders and outputs."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from envs.command import Interrupted
from tests.runs import CHUNK_STEPS, quiet, tiny_config
from train.checkpoints import Checkpoints
from train.interrupt import Interrupt
from train.loop import train
from train.progress import ProgressDisplay


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_warnings_of_schedulers_and_a_closed_terminal_leave_a_checkpoint(
    number: signal.Signals, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """facebookincubator/submitit PR#1701, huggingface/nanotron PR#392, huggingface/accelerate#3400"""

    def stop(display: ProgressDisplay, env_steps: int) -> None:
        os.kill(os.getpid(), number)
        time.sleep(0.1)

    monkeypatch.setattr(ProgressDisplay, "advance", stop)
    with pytest.raises(Interrupted) as interrupted:
        train(tiny_config(tmp_path, checkpoint_steps=10**6), console=quiet())
    assert interrupted.value.signal == number
    assert len(Checkpoints(tmp_path).steps) == 1


def test_only_ctrl_c_and_sigterm_insist() -> None:
    """A shell whose terminal closes repeats SIGHUP, and SIGTERM follows the warning of a scheduler."""
    console = quiet()
    with Interrupt(console) as interrupt:
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
        deadline = time.monotonic() + 10
        while "Once more" not in console.file.getvalue():  # type: ignore[attr-defined]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert interrupt.signal == signal.SIGUSR1


def test_nohup_keeps_its_meaning() -> None:
    code = "import os; from rich.console import Console; from train.interrupt import Interrupt\n"
    code += "with Interrupt(Console()): os.kill(os.getpid(), 1)\nprint('not stopped')"
    done = subprocess.run(["nohup", sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "not stopped\n")


@pytest.mark.usefixtures("programs")
def test_training_works_in_another_thread(tmp_path: pathlib.Path) -> None:
    """cwsandbox-client#136 (marimo), glotzerlab/gsd#257"""
    config = tiny_config(tmp_path, total_steps=CHUNK_STEPS)
    thread = threading.Thread(target=train, args=(config,), kwargs={"console": quiet()})
    thread.start()
    thread.join()
    assert Checkpoints(tmp_path).steps == [CHUNK_STEPS]

"""What a run meets on the machine it runs on: signals, threads, missing folders and outputs."""

import os
import pathlib
import pwd
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import jax
import mujoco.batch
import pytest

import envs
from envs.command import Interrupted
from eval.run import main as evaluate
from tests.runs import CHUNK_STEPS, quiet, tiny_config
from train.checkpoints import Checkpoints
from train.compilation_cache import use_compilation_cache
from train.config import Config
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
    before = signal.signal(number, signal.SIG_DFL)  # under nohup, SIGHUP is ignored
    try:
        with pytest.raises(Interrupted) as interrupted:
            train(tiny_config(tmp_path, checkpoint_steps=10**6), console=quiet())
    finally:
        signal.signal(number, before)
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


@pytest.mark.usefixtures("programs")
def test_a_run_without_standard_output_goes_on(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Textualize/rich#2400, iterative/dvc PR#10041: a service, or ``>&-`` in a shell."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        train(tiny_config(tmp_path, total_steps=CHUNK_STEPS))
    assert Checkpoints(tmp_path).steps == [CHUNK_STEPS]


@pytest.mark.usefixtures("programs")
def test_an_account_without_a_home_trains_and_scores_without_a_cache(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """psf/black#2813, hermes-agent PR#49263: containers that run under a number nobody has a name for."""

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    config = tiny_config(tmp_path, total_steps=CHUNK_STEPS, compilation_cache=Config.compilation_cache)
    train(config, console=quiet())
    assert capfd.readouterr().err.count("warning: compiled programs are not kept in ~/.cache/mjx_tecrl") == 1
    assert evaluate([str(tiny_run), "--episodes", "2"]) == 0
    # The run's config does not say which cache it used, so this is the default one.
    assert capfd.readouterr().err.count("warning: compiled programs are not kept in ~/.cache/mjx_tecrl") == 1


def test_a_cache_that_cannot_be_created_costs_a_warning(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same, where HOME is a folder in which nothing can be created."""
    (tmp_path / "file").touch()
    before = jax.config.jax_compilation_cache_dir
    use_compilation_cache(str(tmp_path / "file" / "cache"))
    assert "warning: compiled programs are not kept in" in capfd.readouterr().err
    assert jax.config.jax_compilation_cache_dir == before


def test_physics_takes_as_many_threads_as_the_job_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Motphys/UniLab#1328, alex-petrenko/sample-factory#182: ``taskset``, SLURM"""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 7})
    sizes, make = [], mujoco.batch.Batch

    def batch(*args: Any, **kwargs: Any) -> mujoco.batch.Batch:
        made = make(*args, **kwargs)
        sizes.append(made.nthread)
        return made

    monkeypatch.setattr(mujoco.batch, "Batch", batch)
    env = envs.make("inverted_pendulum", physics="native")
    jax.block_until_ready(jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 8)).obs)
    assert sizes == [3]

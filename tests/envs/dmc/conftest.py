"""dm_control's own environments, to compare with, and states of its bodies."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from benchmarks.originals import DmControlOriginal

WORLDS, STEPS, EVERY = 24, 108, 12


@pytest.fixture(scope="session")
def dm_control_task(task: Callable[[str], envs.MujocoTask]) -> Callable[[str], DmControlOriginal]:
    """Takes the name of a task and returns dm_control's environment for it, loaded once."""
    pytest.importorskip("dm_control", reason="needs dm_control: pip install 'mjx-tecrl[dmc]'")
    return functools.cache(lambda name: DmControlOriginal(task(name)))


@pytest.fixture(scope="session")
def task() -> Callable[[str], envs.MujocoTask]:
    """Takes the name of a task and returns it on the native engine, loaded once."""
    return functools.cache(lambda name: envs.make(name, physics="native"))


@pytest.fixture(scope="session")
def states(task: Callable[[str], envs.MujocoTask]) -> Callable[[str], tuple[envs.State, jax.Array]]:
    """216 states of a task by name, with an action for each; half from random actions, half from energetic ones.

    All tasks with one body are given the same.
    """

    @functools.cache
    def draw(name: str) -> tuple[envs.State, jax.Array]:
        env, rng = task(name), np.random.default_rng(0)
        random = rng.uniform(-1, 1, (STEPS, WORLDS // 2, env.action_size))
        period, phase = rng.uniform(8, 60, (WORLDS // 2, 1)), rng.uniform(0, 1, (WORLDS // 2, env.action_size))
        energetic = np.sin(2 * np.pi * (np.arange(STEPS)[:, None, None] / period + phase))
        actions = jnp.asarray(np.concatenate([random, energetic], axis=1), jnp.float32)

        def step(state: envs.State, action: jax.Array) -> tuple[envs.State, envs.State]:
            return jax.vmap(env.step)(state, action), state

        first = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), WORLDS))
        visited = jax.jit(lambda first: jax.lax.scan(step, first, actions)[1])(first)
        every = jax.tree.map(lambda x: np.asarray(x[EVERY - 1 :: EVERY]), (visited, actions))
        return jax.tree.map(lambda x: np.concatenate(list(x)), every)

    def with_same_body(name: str) -> str:
        domain, joints = envs.task(name).domain(), task(name).model.nq
        return next(
            other for other in envs.DMC_TASKS if envs.task(other).domain() == domain and task(other).model.nq == joints
        )

    return lambda name: draw(with_same_body(name))

"""dm_control's own environments to compare with, and states of its bodies."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs

WORLDS, STEPS, EVERY = 24, 108, 12


def flat(observation: dict[str, np.ndarray]) -> np.ndarray:
    """The entries of an observation of dm_control, one after the other."""
    return np.concatenate([np.ravel(value) for value in observation.values()])


class DmControlTask:
    """dm_control's environment of that name, put into any state."""

    def __init__(self, name: str):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without a display its renderers warn
            suite = pytest.importorskip("dm_control.suite", reason="needs dm_control: pip install '.[dmc]'")
        self.env: Any = suite.load(*name.removeprefix("dmc/").split("-"))
        self.env.reset()
        self.physics = self.env.physics

    def start(self, physics: envs.PhysicsState, fields: dict[str, np.ndarray]) -> np.ndarray:
        """Puts it into a state of one world as if fresh from a reset; returns the observation."""
        self.env._step_count, self.env._reset_next_step = 0, False
        for name, value in fields.items():
            field = getattr(self.physics.model, name)
            field[:] = value.reshape(field.shape)
        with self.physics.reset_context():
            self.physics.data.qpos[:], self.physics.data.qvel[:] = physics.qpos, physics.qvel
            if self.physics.model.na:
                self.physics.data.act[:] = physics.act
        return flat(self.env.task.get_observation(self.physics))

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """Observation, reward, and whether the episode goes on, after an action ``[action_size]`` in [-1, 1]."""
        low, high = self.physics.model.actuator_ctrlrange.T
        step = self.env.step((high + low) / 2 + (high - low) / 2 * action)
        return flat(step.observation), step.reward, step.discount == 1 and not step.last()


@pytest.fixture(scope="session")
def dm_control_task() -> Callable[[str], DmControlTask]:
    """dm_control's environment of the name of a task of ours, loaded once."""
    return functools.cache(DmControlTask)


@pytest.fixture(scope="session")
def task() -> Callable[[str], envs.MujocoTask]:
    """A task by its name on the native engine, loaded once."""
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

        first = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), WORLDS))
        visited = jax.jit(lambda first: jax.lax.scan(step, first, actions)[1])(first)
        every = jax.tree.map(lambda x: np.asarray(x[EVERY - 1 :: EVERY]), (visited, actions))
        return jax.tree.map(lambda x: np.concatenate(list(x)), every)

    def with_same_body(name: str) -> str:
        domain, joints = envs.task(name).domain(), task(name).model.nq
        return next(
            other for other in envs.DMC_TASKS if envs.task(other).domain() == domain and task(other).model.nq == joints
        )

    return lambda name: draw(with_same_body(name))

"""States of real bodies, and Gymnasium's own environments to compare with."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import mujoco
import numpy as np
import pytest

import envs
from benchmarks.solver_settings import state_sets


class GymnasiumTask:
    """Gymnasium's environment with the same arguments as one of our tasks, put into any state."""

    def __init__(self, task: envs.MujocoTask):
        self.env: Any = task.make_gymnasium().unwrapped

    def start(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """Puts it into a state as if fresh from a reset; returns the observation."""
        mujoco.mj_resetData(self.env.model, self.env.data)
        self.env.set_state(np.float64(qpos), np.float64(qvel))
        return self.env._get_obs()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, dict[str, Any]]:
        """Observation, reward, terminated and info after an action ``[action_size]`` in [-1, 1]."""
        low, high = self.env.model.actuator_ctrlrange.T.astype(np.float32)
        ctrl = (high + low) / 2 + (high - low) / 2 * action
        obs, reward, terminated, _, info = self.env.step(ctrl)
        return obs, reward, terminated, info


@pytest.fixture(scope="session")
def gymnasium_task() -> Callable[[envs.MujocoTask], GymnasiumTask]:
    """Gymnasium's environment for a task of ours."""
    return GymnasiumTask


@pytest.fixture(scope="session")
def states() -> Callable[[str], tuple[envs.State, jax.Array]]:
    """210 states of a task by name, with an action for each: random, energetic, and after falls, 70 of each.

    All versions of a task are given the same.
    """

    @functools.cache
    def draw(name: str) -> tuple[envs.State, jax.Array]:
        sets = state_sets(envs.make(name, physics="native"), 70, seed=0).values()
        return jax.tree.map(lambda *x: np.concatenate(x), *sets)

    return lambda name: draw(name.split("-v")[0])

"""The environments that our tasks have to equal, Gymnasium's and dm_control's own, put into any state."""

import importlib
import warnings
from typing import Any, NamedTuple

import mujoco
import numpy as np

import envs
from envs.engines import ModelFields, PhysicsState
from envs.engines.base import NO_FIELDS


class Outcome(NamedTuple):
    """The outcome of one step of an original."""

    obs: np.ndarray
    reward: float
    terms: dict[str, float]
    terminated: bool


class GymnasiumOriginal:
    """Gymnasium's environment with the same arguments as ``task``."""

    def __init__(self, task: envs.MujocoTask):
        self.env: Any = task.make_gymnasium().unwrapped

    def reset_to(self, physics: PhysicsState, fields: ModelFields = NO_FIELDS) -> np.ndarray:
        """Puts the original into the state of one world, as if it had just been reset; returns the observation."""
        mujoco.mj_resetData(self.env.model, self.env.data)
        self.env.set_state(np.float64(physics.qpos), np.float64(physics.qvel))
        return self.env._get_obs()

    def step(self, action: np.ndarray) -> Outcome:
        """The outcome of an action ``[action_size]`` in [-1, 1]."""
        low, high = self.env.model.actuator_ctrlrange.T.astype(np.float32)
        obs, reward, terminated, _, info = self.env.step((high + low) / 2 + (high - low) / 2 * action)
        terms = {name: value for name, value in info.items() if name.startswith("reward") or "penalty" in name}
        return Outcome(obs, reward, terms, terminated)


class DmControlOriginal:
    """dm_control's environment of the same name as ``task``.

    Raises:
      ImportError: dm_control is not installed.
    """

    def __init__(self, task: envs.MujocoTask):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its renderers warn where there is no display
            suite = importlib.import_module("dm_control.suite")
        self.env: Any = suite.load(*task.name.removeprefix("dmc/").split("-"))
        self.env.reset()
        self.physics = self.env.physics

    def reset_to(self, physics: PhysicsState, fields: ModelFields = NO_FIELDS) -> np.ndarray:
        """Puts the original into the state of one world, as if it had just been reset; returns the observation."""
        self.env._step_count, self.env._reset_next_step = 0, False
        for name, value in fields.items():
            field = getattr(self.physics.model, name)
            field[:] = np.reshape(value, field.shape)
        with self.physics.reset_context():
            self.physics.data.qpos[:], self.physics.data.qvel[:] = physics.qpos, physics.qvel
            if self.physics.model.na:
                self.physics.data.act[:] = physics.act
        return _flat(self.env.task.get_observation(self.physics))

    def step(self, action: np.ndarray) -> Outcome:
        """The outcome of an action ``[action_size]`` in [-1, 1]; a discount of 0 is a termination."""
        low, high = self.physics.model.actuator_ctrlrange.T
        step = self.env.step((high + low) / 2 + (high - low) / 2 * action)
        return Outcome(_flat(step.observation), step.reward, {"reward": step.reward}, step.discount == 0)


def original(task: envs.MujocoTask) -> GymnasiumOriginal | DmControlOriginal:
    """The environment that ``task`` has to equal.

    Raises:
      ImportError: dm_control is not installed.
    """
    return GymnasiumOriginal(task) if task.gymnasium_id else DmControlOriginal(task)


def _flat(observation: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(value) for value in observation.values()])

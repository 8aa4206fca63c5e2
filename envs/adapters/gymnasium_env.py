"""One world of our tasks as a ``gymnasium.Env``, for others' code that wants no more than one."""

from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium.vector import AutoresetMode

from envs.adapters.gymnasium_vector import RENDER_MODES, GymnasiumVectorEnv
from envs.base import Env


class GymnasiumEnv(gymnasium.Env):
    """One world of a task. Actions are in [-1, 1].

    It is a `GymnasiumVectorEnv` of one world, and treats a blow-up as that does. It knows no time limit, as none of
    Gymnasium's own environments does: ``gymnasium.make`` applies it.

    Args:
      env: the task: its name, as for `envs.make`, or what `envs.make` returned.
      kwargs: see `GymnasiumVectorEnv`: ``render_mode``, ``width``, ``height``, ``camera``, ``physics``, and fields of the
        task's ``Args``.

    Raises:
      ValueError: see `GymnasiumVectorEnv`.
    """

    metadata = {"render_modes": list(RENDER_MODES)}  # noqa: RUF012 (Gymnasium declares it so)

    def __init__(self, env: Env | str, **kwargs: Any):
        no_limit = np.iinfo(np.int32).max
        self._vector = GymnasiumVectorEnv(
            env, 1, autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=no_limit, **kwargs
        )
        self.metadata = {**self.metadata, "render_fps": self._vector.metadata["render_fps"]}
        self.render_mode = self._vector.render_mode
        self.observation_space, self.action_space = self._vector.single_observation_space, self._vector.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode. ``seed`` is the seed of this and all later start states; ``options`` are not used."""
        super().reset(seed=seed)
        obs, infos = self._vector.reset(seed=int(self.np_random.integers(2**32)))
        return _only(obs), infos

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step under ``action`` ``[action_size]``.

        Raises:
          ValueError: ``action`` has another shape.
          ResetNeeded: there was no `reset` yet, or none since the episode ended.
        """
        obs, reward, terminated, truncated, infos = self._vector.step(np.asarray(action)[None])
        info = {"diverged": bool(infos["diverged"][0])}
        return _only(obs), float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> Any:
        """A picture ``[height, width, 3]`` uint8; see `GymnasiumVectorEnv.render`."""
        return self._vector.render()[0]


def _only(obs: Any) -> Any:
    """The observation of the only world."""
    return jax.tree.map(lambda x: x[0], obs)

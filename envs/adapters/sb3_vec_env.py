"""Our tasks as a ``VecEnv`` of Stable-Baselines3 (extra ``sb3``)."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from envs.adapters.gymnasium_vector import GymnasiumVectorEnv
from envs.base import Env

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError("SB3VecEnv needs Stable-Baselines3: pip install 'mjx-tecrl[sb3]'") from error

ONE_PROGRAM = "all worlds are one program: make the environment with other arguments instead"


class SB3VecEnv(VecEnv):
    """Many worlds of one task, as Stable-Baselines3 wants them. Actions are in [-1, 1].

    A world that ends its episode starts the next one on the same step. Its entry of ``infos`` then holds the final
    observation as ``terminal_observation``, and ``TimeLimit.truncated`` says whether a limit or a blow-up cut it off. Only
    these entries and ``diverged`` are there; ``stable_baselines3.common.vec_env.VecMonitor`` adds returns and lengths.

    Args:
      env: the task: its name, as for `envs.make`, or what `envs.make` returned.
      num_envs: number of worlds.
      seed: seed that is used until ``seed`` is called, as the trainers do that are given one.
      kwargs: see `GymnasiumVectorEnv`.

    Raises:
      ValueError: see `GymnasiumVectorEnv`.
    """

    def __init__(self, env: Env | str, num_envs: int, seed: int = 0, **kwargs: Any):
        self.worlds = GymnasiumVectorEnv(env, num_envs, seed, autoreset_mode=AutoresetMode.SAME_STEP, **kwargs)
        super().__init__(num_envs, self.worlds.single_observation_space, self.worlds.single_action_space)

    def reset(self) -> Any:
        """Starts an episode in every world."""
        obs, _ = self.worlds.reset(seed=self._seeds[0])
        self._reset_seeds()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keeps ``actions`` ``[num_envs, action_size]`` for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One step of every world: observations, rewards, which episodes ended, and a dict for each world."""
        obs, reward, terminated, truncated, batch = self.worlds.step(self._actions)
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": False, "diverged": False} for _ in range(self.num_envs)]
        for world in np.flatnonzero(done):
            infos[world] = {
                "TimeLimit.truncated": bool(truncated[world]),
                "diverged": bool(batch["diverged"][world]),
                "terminal_observation": batch["final_obs"][world],
            }
        return obs, reward, done, infos

    def get_images(self) -> Sequence[np.ndarray]:
        """A picture of every world; see `GymnasiumVectorEnv.render`."""
        return self.worlds.render()

    def close(self) -> None:
        """Does nothing, since nothing is open."""

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """The attribute of `GymnasiumVectorEnv`, once for each of the worlds."""
        return [getattr(self.worlds, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """No world has attributes of its own.

        Raises:
          NotImplementedError: always.
        """
        raise NotImplementedError(ONE_PROGRAM)

    def env_method(
        self, method_name: str, *method_args: Any, indices: int | Iterable[int] | None = None, **method_kwargs: Any
    ) -> list[Any]:
        """No world has methods of its own.

        Raises:
          NotImplementedError: always.
        """
        raise NotImplementedError(ONE_PROGRAM)

    def env_is_wrapped(self, wrapper_class: type, indices: int | Iterable[int] | None = None) -> list[bool]:
        """No world is wrapped."""
        return [False for _ in self._get_indices(indices)]

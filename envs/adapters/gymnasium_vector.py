"""Our tasks as a ``gymnasium.vector.VectorEnv``, for others' code."""

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from envs.base import Env
from envs.vector import VectorEnv, VectorState


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv):
    """Many worlds of one task.

    A world that ended an episode is reset on the next step, so its final observation is returned. Actions are in [-1, 1]. A
    world that blew up starts a new episode: ``infos["diverged"]`` says which worlds did, and ``truncated`` is True for them.

    Args:
      env: the task, from `envs.make`.
      num_envs: number of worlds.
      seed: seed that is used until `reset` is given one.

    Raises:
      ValueError: the task observes a dict, or there is no world.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}  # noqa: RUF012 (Gymnasium declares it so)

    def __init__(self, env: Env, num_envs: int, seed: int = 0):
        if env.privileged_size:
            raise ValueError(f"{env.name} observes a dict; Gymnasium's vector environments here hold arrays only")
        self._worlds = VectorEnv(env, num_envs, 4 * num_envs)
        self.env = env
        self.num_envs = num_envs
        self.single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (env.obs_size,), np.float32)
        self.single_action_space = gymnasium.spaces.Box(-1.0, 1.0, (env.action_size,), np.float32)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self._draw_starts, self._reset = jax.jit(self._worlds.draw_starts), jax.jit(self._worlds.reset)
        self._refill_pool, self._step = jax.jit(self._worlds.refill_pool), jax.jit(self._worlds.step)
        self._key = jax.random.key(seed)
        self._state: VectorState | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode in every world.

        Args:
          seed: one number for all worlds; None draws start states that were not drawn before.
          options: not used. All worlds are reset: a ``reset_mask`` that leaves some out belongs to another autoreset mode.

        Raises:
          ValueError: ``seed`` is a list, or ``reset_mask`` leaves worlds out.
        """
        if not np.all((options or {}).get("reset_mask", True)):
            raise ValueError("reset starts an episode in every world: reset_mask must not leave any out")
        if isinstance(seed, list):
            raise ValueError("give one seed: the worlds' start states are drawn together")
        if seed is not None:
            self._key = jax.random.key(seed)
        self._state = self._reset(self._draw_starts(self._next_key()))
        self._starts_left = self._worlds.pool_size - self.num_envs
        return np.array(self._state.worlds.obs), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every world under ``actions`` ``[num_envs, action_size]``.

        The arrays that it returns are the caller's own, and may be written to.

        Raises:
          ValueError: ``actions`` has another shape.
          ResetNeeded: there was no `reset` yet.
        """
        if self._state is None:
            raise ResetNeeded("call reset before the first step")
        if self._starts_left < self.num_envs:
            self._state = self._refill_pool(self._state, self._draw_starts(self._next_key()))
            self._starts_left = self._worlds.pool_size
        resetting = np.asarray(self._state.starts_episode)
        self._state, row, _ = self._step(self._state, jnp.asarray(actions, jnp.float32))
        row = jax.device_get(row)
        self._starts_left -= int((~row.valid).sum())
        diverged = ~row.valid & ~resetting
        truncated = (row.done & ~row.terminated) | diverged
        obs, reward, terminated = map(np.array, (self._state.worlds.obs, row.reward, row.terminated))
        return obs, reward, terminated, truncated, {"diverged": diverged}

    def _next_key(self) -> jax.Array:
        self._key, key = jax.random.split(self._key)
        return key

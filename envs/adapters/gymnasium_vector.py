"""Our tasks as a ``gymnasium.vector.VectorEnv``, for others' code."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

import envs
from envs.base import Env, State
from envs.film import picture, view_from
from envs.finite import select
from envs.poses import pose
from envs.vector import Row, VectorEnv, VectorState

RENDER_MODES = ("rgb_array",)
"""What `GymnasiumVectorEnv.render` and `GymnasiumEnv.render` can do."""

COMPILED = ("_draw_starts", "_reset", "_refill_pool", "_start_episodes", "_step")
"""The compiled functions of a `GymnasiumVectorEnv`, which are left out when it is pickled."""


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv):
    """Many worlds of one task. Actions are in [-1, 1].

    A world that blew up ends its episode as if a time limit had cut it off: ``truncated`` is True, the reward is 0, and the
    final observation is the last one before the blow-up. ``infos["diverged"]`` says which worlds did.

    Args:
      env: the task: its name, as for `envs.make`, or what `envs.make` returned.
      num_envs: number of worlds.
      seed: seed that is used until `reset` is given one.
      autoreset_mode: when a world whose episode ended is reset. ``NEXT_STEP``: on the next step, which ignores the action.
        ``SAME_STEP``: at once; ``infos["final_obs"]`` holds the final observation. ``DISABLED``: when the caller does it.
      max_episode_steps: time limit in environment steps; None for the task's own.
      render_mode: None, or rgb_array to make pictures.
      width: width of a picture (pixels).
      height: height of a picture (pixels).
      camera: a camera of the model, by name or number; -1 for one that sees everything that moves; None for the task's own.
      physics: name of the engine, as for `envs.make`.
      args: fields of the task's ``Args``, such as ``reset_noise_scale``.

    Raises:
      ValueError: there is no such task, engine or mode, or no world; or ``physics`` or ``args`` are given for a task that is
        already made.
      TypeError: the task does not take these ``args``.
    """

    metadata = {  # noqa: RUF012 (Gymnasium declares it so)
        "autoreset_mode": AutoresetMode.NEXT_STEP,
        "render_modes": list(RENDER_MODES),
    }

    def __init__(
        self,
        env: Env | str,
        num_envs: int = 1,
        seed: int = 0,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str | int | None = None,
        physics: str = "auto",
        **args: Any,
    ):
        made: Any = _made(env, physics, args)
        if max_episode_steps is not None:
            made = copy.copy(made)
            made.episode_length = max_episode_steps
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"render_mode must be None or rgb_array, not {render_mode!r}")
        self._worlds = VectorEnv(made, num_envs, 4 * num_envs)
        self.env = made
        self.num_envs = num_envs
        self.render_mode = render_mode
        self._mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self._mode, "render_fps": max(1, round(1 / made.dt))}
        self._size, self._camera = (width, height), made.camera if camera is None else camera
        self._view: mujoco.MjvCamera | None = None
        self.single_observation_space = _observation_space(made)
        self.single_action_space = gymnasium.spaces.Box(-1.0, 1.0, (made.action_size,), np.float32)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self._key = jax.random.key(seed)
        self._state: VectorState | None = None
        self._compile()

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in every world, or in those that ``reset_mask`` names.

        Args:
          seed: one number for all worlds; None draws start states that were not drawn before.
          options: ``reset_mask`` ``[num_envs]`` bool: which worlds to reset. The others go on.

        Raises:
          ValueError: ``seed`` is a list, or ``reset_mask`` has another shape or type or is False everywhere.
          ResetNeeded: ``reset_mask`` leaves out worlds that were never reset.
        """
        if isinstance(seed, list):
            raise ValueError("give one seed: the worlds' start states are drawn together")
        mask = (options or {}).get("reset_mask")
        if mask is not None:
            mask = _checked_mask(mask, self.num_envs)
        super().reset(seed=seed)
        if seed is not None:
            self._key = jax.random.key(seed)
        if mask is None or mask.all():
            self._state = self._reset(self._draw_starts(self._next_key()))
            self._starts_left = self._worlds.pool_size - self.num_envs
            self._obs, self._ended = self._state.worlds.obs, np.zeros(self.num_envs, bool)
            return _arrays(self._obs), {}
        if self._state is None:
            raise ResetNeeded("the first reset must not leave out any world")
        if seed is not None:
            self._starts_left = 0  # so that the start states to come are those of this seed
        self._state = self._start_episodes(self._with_starts(self._state), mask)
        self._starts_left -= int(mask.sum())
        self._obs, self._ended = select(jnp.asarray(mask), self._state.worlds.obs, self._obs), self._ended & ~mask
        return _arrays(self._obs), {}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every world under ``actions`` ``[num_envs, action_size]``.

        The arrays that it returns are the caller's own, and may be written to.

        Raises:
          ValueError: ``actions`` has another shape.
          ResetNeeded: there was no `reset` yet, or, without autoreset, none since a world ended its episode.
        """
        if self._state is None:
            raise ResetNeeded("call reset before the first step")
        if self._mode == AutoresetMode.DISABLED and self._ended.any():
            raise ResetNeeded(f"an episode ended in worlds {np.flatnonzero(self._ended).tolist()}: reset them first")
        self._state, row, final, diverged = self._step(self._with_starts(self._state), jnp.asarray(actions, jnp.float32))
        reward, terminated, done, diverged = map(np.array, (row.reward, row.terminated, row.done, diverged))
        self._starts_left -= int((~np.asarray(row.valid)).sum())
        self._ended, self._obs = done | diverged, final
        truncated = self._ended & ~terminated
        infos: dict[str, Any] = {"diverged": diverged}
        if self._mode == AutoresetMode.SAME_STEP and self._ended.any():
            infos |= self._final_infos(_arrays(final), diverged)
            if done.any():  # a world that blew up is at its start already
                self._state = self._start_episodes(self._with_starts(self._state), done)
                self._starts_left -= int(done.sum())
            self._obs = self._state.worlds.obs
        return _arrays(self._obs), reward, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...]:
        """A picture ``[height, width, 3]`` uint8 of every world.

        Raises:
          ResetNeeded: there was no `reset` yet.
          ValueError: no ``render_mode`` was asked for.
          UserError: this machine cannot draw.
        """
        if self.render_mode is None:
            raise ValueError('make the environment with render_mode="rgb_array" to draw it')
        if self._state is None:
            raise ResetNeeded("call reset before the first picture")
        return tuple(self._picture(jax.tree.map(lambda x, i=i: x[i], self._state.worlds)) for i in range(self.num_envs))

    def _picture(self, world: State) -> np.ndarray:
        """Draws one world. A view of everything is taken once and then stays."""
        model = self.env.model
        if self._view is None:
            self._view = view_from(model, self._camera, np.asarray(pose(model, world))[None])
        return picture(model, world, self._view, *self._size)

    def _final_infos(self, final: Any, diverged: np.ndarray) -> dict[str, Any]:
        """What Gymnasium's own vector environments say of episodes that ended, where they reset at once."""
        observations = np.full(self.num_envs, None, object)
        for world in np.flatnonzero(self._ended):
            observations[world] = jax.tree.map(lambda x, i=world: x[i].copy(), final)
        info = {"diverged": diverged.copy(), "_diverged": self._ended.copy()}
        return {
            "final_obs": observations,
            "_final_obs": self._ended.copy(),
            "final_info": info,
            "_final_info": self._ended.copy(),
        }

    def _with_starts(self, state: VectorState) -> VectorState:
        """``state`` with as many start states as there are worlds."""
        if self._starts_left >= self.num_envs:
            return state
        self._starts_left = self._worlds.pool_size
        return self._refill_pool(state, self._draw_starts(self._next_key()))

    def _next_key(self) -> jax.Array:
        self._key, key = jax.random.split(self._key)
        return key

    def _compile(self) -> None:
        worlds = self._worlds
        self._draw_starts, self._reset = jax.jit(worlds.draw_starts), jax.jit(worlds.reset)
        self._refill_pool, self._start_episodes = jax.jit(worlds.refill_pool), jax.jit(worlds.start_episodes)
        self._step = jax.jit(_stepping(worlds, self._mode))

    def __getstate__(self) -> dict[str, Any]:
        """What a copy, pickled or not, keeps. It compiles its functions anew.

        Raises:
          TypeError: the engine holds compiled functions of its own.
        """
        if self.env.engine_name != "native":
            raise TypeError(
                f"worlds of the engine {self.env.engine_name} cannot be copied or pickled: make others like them"
            )
        kept = {name: value for name, value in self.__dict__.items() if name not in COMPILED}
        return kept | {"_view": None}  # MuJoCo's cameras cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._compile()


def _made(env: Env | str, physics: str, args: dict[str, Any]) -> Env:
    """Makes the task that a client named. A task that it made itself stays as it is."""
    if isinstance(env, str):
        return envs.make(env, envs.task(env).Args(**args), physics)
    if args or physics != "auto":
        raise ValueError(f"{env.name} is made already: hand physics and its arguments to envs.make, or give its name")
    return env


def _observation_space(env: Env) -> gymnasium.Space:
    """The space of one world's observations: a dict if it has a part that only a critic sees."""
    state = gymnasium.spaces.Box(-np.inf, np.inf, (env.obs_size,), np.float32)
    if not env.privileged_size:
        return state
    privileged = gymnasium.spaces.Box(-np.inf, np.inf, (env.privileged_size,), np.float32)
    return gymnasium.spaces.Dict({"state": state, "privileged": privileged})


def _checked_mask(mask: Any, num_envs: int) -> np.ndarray:
    """``reset_mask`` as an array.

    Raises:
      ValueError: it has another shape or type, or is False everywhere.
    """
    mask = np.asarray(mask)
    if mask.shape != (num_envs,) or mask.dtype != bool or not mask.any():
        raise ValueError(f"reset_mask must be {num_envs} values of type bool, at least one of them True")
    return mask


def _stepping(worlds: VectorEnv, mode: AutoresetMode) -> Callable[..., tuple[VectorState, Row, Any, jax.Array]]:
    """The function that steps all worlds. Beside the state and the row it returns final observations and who blew up."""

    def step(state: VectorState, actions: jax.Array) -> tuple[VectorState, Row, Any, jax.Array]:
        after, row, _ = worlds.step(state, actions)
        diverged = ~row.valid & ~state.starts_episode
        final = select(diverged, row.obs, after.worlds.obs)
        # A world that blew up has started anew already; the client is still to see that its episode ended.
        starts = row.done | diverged if mode == AutoresetMode.NEXT_STEP else jnp.zeros_like(row.done)
        return dataclasses.replace(after, starts_episode=starts), row, final, diverged

    return step


def _arrays(obs: Any) -> Any:
    """Observations as arrays of the caller's own."""
    return jax.tree.map(np.array, obs)

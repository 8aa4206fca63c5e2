"""What an environment is: two pure functions of one world, and the state that they return."""

import dataclasses
from typing import Any, Protocol

import jax

Obs = jax.Array | dict[str, jax.Array]
"""An observation: an array ``[obs_size]``, or a dict of two arrays. ``state`` ``[obs_size]`` is what the policy sees;
``privileged`` ``[privileged_size]`` is what only the critics see in training, and the policy never."""


def split_obs(obs: Obs) -> tuple[jax.Array, jax.Array | None]:
    """Splits an observation into what a policy sees, and what only a critic sees (None if there is nothing of that kind)."""
    return (obs["state"], obs["privileged"]) if isinstance(obs, dict) else (obs, None)


def obs_sizes(obs: Obs) -> tuple[int, int]:
    """Widths of the two parts of one world's observation. Takes arrays or `jax.ShapeDtypeStruct`."""
    state, privileged = split_obs(obs)
    return state.shape[0], 0 if privileged is None else privileged.shape[0]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """Everything about one world after `Env.reset` or `Env.step`. ``vmap`` gives every array a leading axis.

    ``terminated`` and ``truncated`` are never merged into one, because they say different things about the future.

    Attributes:
      physics: the state that the engine steps: a `PhysicsState`, except in an adapter.
      obs: observation, see `Obs`.
      reward: ``[]`` reward of the step that led here (0 after a reset).
      terminated: ``[]`` bool, the episode ended in a state without a future, whose value is 0.
      truncated: ``[]`` bool, the episode was cut off by a limit; the state's value is that of going on.
      metrics: scalars worth logging, among them every term of the reward.
      info: what the task keeps from one step to the next.
    """

    physics: Any
    obs: Obs
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]
    info: dict[str, Any]


class Env(Protocol):
    """A task in one world. `reset` and `step` are pure functions, and run under ``jit``, ``vmap`` and ``scan``."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def obs_size(self) -> int:
        """Width of what a policy observes."""

    @property
    def privileged_size(self) -> int:
        """Width of what only a critic observes; 0 if the observation is not a dict."""

    @property
    def action_size(self) -> int:
        """Width of an action."""

    @property
    def episode_length(self) -> int:
        """Time limit in environment steps. `VectorEnv` and `run_episodes` apply it, the task itself does not."""

    @property
    def engine_name(self) -> str:
        """Name of the physics engine that steps it."""

    def reset(self, key: jax.Array) -> State:
        """Draws a start state: the first state of an episode."""
        ...

    def step(self, state: State, action: jax.Array) -> State:
        """The state one environment step later, under ``action`` ``[action_size]`` in [-1, 1]."""
        ...

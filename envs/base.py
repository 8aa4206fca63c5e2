"""What an environment is: two pure functions of one world, and the state they pass on."""

import dataclasses
from typing import Any, Protocol

import jax

from envs.physics import PhysicsState


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """Everything about one world after `Env.reset` or `Env.step`; batched by ``vmap``.

    Attributes:
      physics: the integration state.
      obs: ``[obs_size]`` observation.
      reward: ``[]`` reward of the step that led here (0 after a reset).
      terminated: ``[]`` bool, the episode ended in a state without a future: its value is 0.
      truncated: ``[]`` bool, the episode was cut off by a limit: its value is that of going on. Never merged with
        ``terminated``.
      metrics: scalars worth logging, among them every term of the reward.
      info: what the task needs to remember from one step to the next.
    """

    physics: PhysicsState | Any
    obs: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    metrics: dict[str, jax.Array]
    info: dict[str, jax.Array]


class Env(Protocol):
    """A task in one world: pure functions that run under ``jit``, ``vmap`` and ``scan``."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def obs_size(self) -> int:
        """Width of an observation."""

    @property
    def action_size(self) -> int:
        """Width of an action."""

    @property
    def episode_length(self) -> int:
        """Time limit in steps; `VectorEnv` and `run_episodes` apply it."""

    def reset(self, key: jax.Array) -> State:
        """A fresh start state."""
        ...

    def step(self, state: State, action: jax.Array) -> State:
        """The state after ``action`` ``[action_size]`` in normalised units [-1, 1]."""
        ...

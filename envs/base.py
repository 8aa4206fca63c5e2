"""What an environment is: two pure functions of one world, and the state they pass on."""

import dataclasses
from typing import Any, Protocol

import jax

Obs = jax.Array | dict[str, jax.Array]
"""What is observed: ``[obs_size]``, or a dict of that as ``state`` and of ``privileged`` ``[privileged_size]``, which a
critic sees in training and a policy never."""


def split_obs(obs: Obs) -> tuple[jax.Array, jax.Array | None]:
    """What a policy observes, and what only a critic does (None: nothing)."""
    return (obs["state"], obs["privileged"]) if isinstance(obs, dict) else (obs, None)


def obs_sizes(obs: Obs) -> tuple[int, int]:
    """Widths of the two parts of one world's observation (arrays or their shapes)."""
    state, privileged = split_obs(obs)
    return state.shape[0], 0 if privileged is None else privileged.shape[0]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """Everything about one world after `Env.reset` or `Env.step`; batched by ``vmap``.

    Attributes:
      physics: the engine's state of the world; a `PhysicsState` but in an adapter.
      obs: observation, see `Obs`.
      reward: ``[]`` reward of the step that led here (0 after a reset).
      terminated: ``[]`` bool, the episode ended in a state without a future: its value is 0.
      truncated: ``[]`` bool, the episode was cut off by a limit: its value is that of going on. Never merged with
        ``terminated``.
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
    """A task in one world: pure functions that run under ``jit``, ``vmap`` and ``scan``."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def obs_size(self) -> int:
        """Width of what a policy observes."""

    @property
    def privileged_size(self) -> int:
        """Width of what only a critic observes; 0 where the observation is no dict."""

    @property
    def action_size(self) -> int:
        """Width of an action."""

    @property
    def episode_length(self) -> int:
        """Time limit in steps; `VectorEnv` and `run_episodes` apply it."""

    @property
    def engine(self) -> str:
        """The physics engine that steps it."""

    def reset(self, key: jax.Array) -> State:
        """A fresh start state."""
        ...

    def step(self, state: State, action: jax.Array) -> State:
        """The state after ``action`` ``[action_size]`` in normalised units [-1, 1]."""
        ...

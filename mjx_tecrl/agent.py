"""The interface that the loops, the checkpoint and the evaluator know an agent by."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mjx_tecrl.types import Batch, Metrics

AgentState = Any
"""A pytree with all that an agent learns: parameters, targets, optimisers, counters."""


class Agent(NamedTuple):
    """A frozen record of pure functions over an explicit state.

    Attributes:
      init: ``key -> state``.
      act: ``(state, obs [batch, obs_size], key, mode) -> action [batch, action_size]`` in [-1, 1]; ``mode`` is "sample" or
        "deterministic" (the key is then not used and may be None).
      init_exploration: ``(key, num_envs) -> exploration state``.
      explore: ``(exploration state, action, starts_episode, key) -> (action, exploration state)``, applied to samples while
        experience is collected.
      update: ``(state, batch, key) -> (state, metrics)``, one gradient step. A step whose batch or outcome is not finite
        changes nothing and is counted in the metric ``skipped``.
      discount: the discount factor gamma.
      n_step: rewards summed per transition.
    """

    init: Callable[[jax.Array], AgentState]
    act: Callable[[AgentState, jax.Array, jax.Array | None, str], jax.Array]
    init_exploration: Callable[[jax.Array, int], Any]
    explore: Callable[[Any, jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]]
    update: Callable[[AgentState, Batch, jax.Array], tuple[AgentState, Metrics]]
    discount: float
    n_step: int

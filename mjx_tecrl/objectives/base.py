"""What a policy objective is to the rest of an on-policy agent."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mjx_tecrl.policies import Evaluation
from mjx_tecrl.types import Metrics, Params, Transitions


class Objective(NamedTuple):
    """How the policy learns from a rollout: by one step on the whole rollout, by a step per minibatch, or by both.

    A step is ``(policy params, state, transitions) -> (policy params, state, metrics)``.

    Attributes:
      init: ``policy params -> state``, which is an optimiser's or an empty tuple.
      rollout_step: the step on all transitions of a rollout, taken first.
      minibatch_step: the step on each minibatch.
    """

    init: Callable[[Params], Any]
    rollout_step: Callable[[Params, Any, Transitions], tuple[Params, Any, Metrics]]
    minibatch_step: Callable[[Params, Any, Transitions], tuple[Params, Any, Metrics]]


def no_step(params: Params, state: Any, transitions: Transitions) -> tuple[Params, Any, Metrics]:
    """Stands for a step that an objective does not take: it changes nothing."""
    return params, state, {}


def probability_ratio(now: Evaluation, transitions: Transitions) -> jax.Array:
    """``[batch]`` how many times likelier the actions are now than when they were drawn; 1 in rows that are not valid."""
    return jnp.exp(jnp.where(transitions.valid, now.log_prob - transitions.log_prob, 0.0))

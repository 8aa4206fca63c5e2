"""What a policy objective is to the rest of an on-policy agent."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mjx_tecrl.policies import Evaluation
from mjx_tecrl.types import Metrics, Params, Transitions


class Objective(NamedTuple):
    """How the policy learns from a rollout: by one step on all of it, by a step per minibatch, or both.

    A step is ``(policy params, state, samples) -> (policy params, state, metrics)``.

    Attributes:
      init: ``policy params -> state`` (an optimiser's, or an empty tuple).
      rollout_step: the step on all samples of a rollout, before the others.
      minibatch_step: the step on each minibatch.
    """

    init: Callable[[Params], Any]
    rollout_step: Callable[[Params, Any, Transitions], tuple[Params, Any, Metrics]]
    minibatch_step: Callable[[Params, Any, Transitions], tuple[Params, Any, Metrics]]


def no_step(params: Params, state: Any, samples: Transitions) -> tuple[Params, Any, Metrics]:
    """The step that an objective does not take."""
    return params, state, {}


def probability_ratio(now: Evaluation, samples: Transitions) -> jax.Array:
    """``[batch]`` how much likelier the actions are now than when they were drawn; 1 where none was."""
    return jnp.exp(jnp.where(samples.valid, now.log_prob - samples.log_prob, 0.0))

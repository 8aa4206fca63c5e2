"""What a policy head is to the rest of an agent."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mjx_tecrl.types import Batch, Params


class Sample(NamedTuple):
    """Actions drawn from a policy, differentiable with respect to its parameters.

    Attributes:
      action: ``[batch, action_size]`` in [-1, 1].
      log_prob: ``[batch]`` log-density of ``action`` in normalised units.
      std: ``[batch, action_size]`` standard deviation of the underlying Gaussian.
    """

    action: jax.Array
    log_prob: jax.Array
    std: jax.Array


class Evaluation(NamedTuple):
    """Given actions under a policy, differentiable with respect to its parameters.

    Attributes:
      log_prob: ``[batch]`` log-density of the action.
      entropy: ``[batch]`` differential entropy of the policy there, in closed form, nats.
      std: ``[batch, action_size]`` standard deviation of the underlying Gaussian.
    """

    log_prob: jax.Array
    entropy: jax.Array
    std: jax.Array


class Policy(NamedTuple):
    """A policy head: a distribution over actions computed by a network.

    On-policy agents need ``evaluate`` and ``kl``, which a head without closed forms lacks. ``sample_in_training`` and
    ``settle`` are for networks that behave differently in training.

    Attributes:
      init: ``key -> params``.
      sample: ``(params, obs [batch, obs_size or more], key) -> Sample``; what comes after ``obs_size`` is not for it.
      mode: ``(params, obs) -> action [batch, action_size]``, the deterministic action.
      has_density: whether its samples have log-probabilities.
      evaluate: ``(params, obs, action [batch, action_size]) -> Evaluation``.
      kl: ``(old params, params, obs) -> [batch]``, the divergence KL(old || new) between two policies of this head, nats.
      sample_in_training: ``(params, batch, key) -> (Sample at batch.obs, statistics)``, what the policy's loss sees; None
        for ``sample``, and no statistics.
      settle: ``(params, statistics) -> params``, applied after each gradient step: keeps the parameters where they belong.
    """

    init: Callable[[jax.Array], Params]
    sample: Callable[[Params, jax.Array, jax.Array], Sample]
    mode: Callable[[Params, jax.Array], jax.Array]
    has_density: bool = True
    evaluate: Callable[[Params, jax.Array, jax.Array], Evaluation] | None = None
    kl: Callable[[Params, Params, jax.Array], jax.Array] | None = None
    sample_in_training: Callable[[Params, Batch, jax.Array], tuple[Sample, Any]] | None = None
    settle: Callable[[Params, Any], Params] = lambda params, statistics: params

"""What a policy is to the rest of an agent, and how it is made of a network and a head."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mjx_tecrl.checks import check_array
from mjx_tecrl.networks import Network, first_end
from mjx_tecrl.types import Batch, Params, Spec


class ActionSample(NamedTuple):
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
    """A policy: a distribution over actions computed by a network. `make_policy` makes one of a network and a head.

    On-policy agents need ``evaluate`` and ``kl``, which only heads with closed forms have.

    Attributes:
      init: ``key -> params``.
      sample: ``(params, obs [batch, obs_size or more], key) -> ActionSample``; it ignores what comes after ``obs_size``.
      mode: ``(params, obs) -> action [batch, action_size]``, the deterministic action.
      sample_in_training: ``(params, batch, key) -> (ActionSample at batch.obs, statistics)``, what the policy's loss sees.
      settle: ``(params, statistics) -> params``, applied after each gradient step: see `Network`.
      has_density: whether its samples have log-probabilities.
      batch_statistics: whether its network normalises by statistics of the batch, and so acts differently in its loss.
      evaluate: ``(params, obs, action [batch, action_size]) -> Evaluation``.
      kl: ``(old params, params, obs) -> [batch]``, the divergence KL(old || new) between two policies of this head, nats.
    """

    init: Callable[[jax.Array], Params]
    sample: Callable[[Params, jax.Array, jax.Array], ActionSample]
    mode: Callable[[Params, jax.Array], jax.Array]
    sample_in_training: Callable[[Params, Batch, jax.Array], tuple[ActionSample, Any]]
    settle: Callable[[Params, Any], Params] = lambda params, statistics: params
    has_density: bool = True
    batch_statistics: bool = False
    evaluate: Callable[[Params, jax.Array, jax.Array], Evaluation] | None = None
    kl: Callable[[Params, Params, jax.Array], jax.Array] | None = None


class Head(NamedTuple):
    """A policy head: a distribution over actions, as functions of what a network puts out.

    Attributes:
      sample: ``(output, key) -> ActionSample``.
      mode: ``output -> action [batch, action_size]``.
      has_density: as in `Policy`.
      evaluate: ``(output, action) -> Evaluation``, or None.
      kl: ``(old output, output) -> [batch]``, or None.
    """

    sample: Callable[[Any, jax.Array], ActionSample]
    mode: Callable[[Any], jax.Array]
    has_density: bool = True
    evaluate: Callable[[Any, jax.Array], Evaluation] | None = None
    kl: Callable[[Any, Any], jax.Array] | None = None


def make_policy(spec: Spec, network: Network, head: Head) -> Policy:
    """A policy head on a network whose input are observations ``[batch, obs_size]``."""

    def policy_obs(obs: jax.Array) -> jax.Array:
        check_array("obs", obs, (..., None))
        if obs.shape[-1] < spec.obs_size:
            raise ValueError(f"obs must be at least {spec.obs_size} wide for the policy, not {obs.shape[-1]}")
        return obs[..., : spec.obs_size]

    def output(params: Params, obs: jax.Array) -> Any:
        return network.apply(params, policy_obs(obs))

    def sample_in_training(params: Params, batch: Batch, key: jax.Array) -> tuple[ActionSample, Any]:
        start, end = policy_obs(batch.obs), policy_obs(batch.next_obs)
        drawn_from, statistics = first_end(network, params, start, end, batch.weight)
        return head.sample(drawn_from, key), statistics

    policy = Policy(
        init=network.init,
        sample=lambda params, obs, key: head.sample(output(params, obs), key),
        mode=lambda params, obs: head.mode(output(params, obs)),
        sample_in_training=sample_in_training,
        settle=network.settle,
        has_density=head.has_density,
        batch_statistics=network.batch_statistics,
    )
    evaluate, kl = head.evaluate, head.kl
    if evaluate is None or kl is None:
        return policy

    def evaluate_actions(params: Params, obs: jax.Array, action: jax.Array) -> Evaluation:
        check_array("action", action, (*obs.shape[:-1], spec.action_size))
        return evaluate(output(params, obs), action)

    return policy._replace(evaluate=evaluate_actions, kl=lambda old, params, obs: kl(output(old, obs), output(params, obs)))

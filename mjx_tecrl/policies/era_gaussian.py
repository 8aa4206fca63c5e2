"""The policy head of SAC-ERA and FastSAC-ERA: a truncated Gaussian whose spread comes from ERA."""

import jax
import jax.numpy as jnp

from mjx_tecrl.distributions import truncated_gaussian
from mjx_tecrl.distributions.truncated_gaussian import EDGE
from mjx_tecrl.era import check_era, era_log_std
from mjx_tecrl.networks import Architecture
from mjx_tecrl.policies.base import ActionSample, Evaluation, Head, Policy, make_policy
from mjx_tecrl.types import Spec


def era_gaussian(
    spec: Spec, network: Architecture, entropy_per_dim: float = 0.25, log_std_range: tuple[float, float] = (-8.0, 0.0)
) -> Policy:
    """One network with two outputs: the location, and what `era_log_std` turns into the spread.

    Args:
      spec: sizes.
      network: what computes both outputs.
      entropy_per_dim: entropy floor of the underlying Gaussian, nats per action dimension.
      log_std_range: limits of the log standard deviation.

    Raises:
      ValueError: the range cannot reach the floor.
    """
    check_era(entropy_per_dim, log_std_range)

    def parameters(output: jax.Array) -> tuple[jax.Array, jax.Array]:
        raw_loc, raw_std = jnp.split(output, 2, axis=-1)
        loc = jnp.clip(jnp.tanh(raw_loc), -1 + EDGE, 1 - EDGE)
        return loc, jnp.exp(era_log_std(raw_std, entropy_per_dim, log_std_range))

    def sample(output: jax.Array, key: jax.Array) -> ActionSample:
        loc, std = parameters(output)
        action = truncated_gaussian.sample(loc, std, key)
        return ActionSample(action, truncated_gaussian.log_prob(action, loc, std).sum(-1), std)

    def mode(output: jax.Array) -> jax.Array:
        return parameters(output)[0]

    def evaluate(output: jax.Array, action: jax.Array) -> Evaluation:
        loc, std = parameters(output)
        log_prob = truncated_gaussian.log_prob(action, loc, std)
        return Evaluation(log_prob.sum(-1), truncated_gaussian.entropy(loc, std).sum(-1), std)

    def kl(old: jax.Array, output: jax.Array) -> jax.Array:
        return truncated_gaussian.kl(*parameters(old), *parameters(output)).sum(-1)

    return make_policy(spec, network(spec.obs_size, 2 * spec.action_size), Head(sample, mode, evaluate=evaluate, kl=kl))

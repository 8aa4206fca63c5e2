"""The policy head of SAC-ERA and FastSAC-ERA: a truncated Gaussian whose spread comes from ERA."""

import jax
import jax.numpy as jnp

from mjx_tecrl import truncated_gaussian
from mjx_tecrl.era import check_era, era_log_std
from mjx_tecrl.networks import MLP, apply
from mjx_tecrl.policies.base import Evaluation, Policy, Sample
from mjx_tecrl.truncated_gaussian import EDGE
from mjx_tecrl.types import Params, Spec


def era_gaussian(
    spec: Spec,
    hidden: tuple[int, ...],
    activation: str = "relu",
    output_std: float | None = None,
    entropy_per_dim: float = 0.25,
    log_std_range: tuple[float, float] = (-8.0, 0.0),
) -> Policy:
    """One trunk with two outputs: location, and what `era_log_std` turns into the spread.

    Args:
      spec: sizes.
      hidden: widths of the hidden layers.
      activation: hidden activation.
      output_std: standard deviation of the output layer's initial weights.
      entropy_per_dim: entropy floor of the underlying Gaussian, nats per action dimension.
      log_std_range: limits of the log standard deviation.

    Raises:
      ValueError: a floor that the range cannot reach.
    """
    check_era(entropy_per_dim, log_std_range)
    network = MLP(hidden, 2 * spec.action_size, activation, output_std=output_std)

    def parameters(params: Params, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
        raw_loc, raw_std = jnp.split(apply(network, params, obs[..., : spec.obs_size]), 2, axis=-1)
        loc = jnp.clip(jnp.tanh(raw_loc), -1 + EDGE, 1 - EDGE)
        return loc, jnp.exp(era_log_std(raw_std, entropy_per_dim, log_std_range))

    def init(key: jax.Array) -> Params:
        return network.init(key, jnp.zeros((1, spec.obs_size)))

    def sample(params: Params, obs: jax.Array, key: jax.Array) -> Sample:
        loc, std = parameters(params, obs)
        action = truncated_gaussian.sample(loc, std, key)
        return Sample(action, truncated_gaussian.log_prob(action, loc, std).sum(-1), std)

    def mode(params: Params, obs: jax.Array) -> jax.Array:
        return parameters(params, obs)[0]

    def evaluate(params: Params, obs: jax.Array, action: jax.Array) -> Evaluation:
        loc, std = parameters(params, obs)
        log_prob = truncated_gaussian.log_prob(action, loc, std)
        return Evaluation(log_prob.sum(-1), truncated_gaussian.entropy(loc, std).sum(-1), std)

    def kl(old: Params, params: Params, obs: jax.Array) -> jax.Array:
        return truncated_gaussian.kl(*parameters(old, obs), *parameters(params, obs)).sum(-1)

    return Policy(init, sample, mode, evaluate=evaluate, kl=kl)

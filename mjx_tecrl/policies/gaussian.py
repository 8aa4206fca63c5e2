"""The policy head of PPO and TRPO: a diagonal Gaussian, not squashed, whose spread does not depend on the state."""

import math

import jax
import jax.numpy as jnp

from mjx_tecrl.era import GAUSSIAN_ENTROPY
from mjx_tecrl.networks import MLP, apply
from mjx_tecrl.policies.base import Evaluation, Policy, Sample
from mjx_tecrl.types import Params, Spec

LOG_2PI = math.log(2 * math.pi)


def gaussian(
    spec: Spec,
    hidden: tuple[int, ...],
    activation: str = "tanh",
    output_std: float | None = 0.01,
    init_log_std: float = 0.0,
) -> Policy:
    """A network for the mean, and one learned log standard deviation per action dimension.

    Samples lie anywhere; whoever steps a world clips them to [-1, 1]. The deterministic action is the clipped mean.

    Args:
      spec: sizes.
      hidden: widths of the hidden layers.
      activation: hidden activation.
      output_std: standard deviation of the output layer's initial weights; None for flax's default.
      init_log_std: initial log standard deviation.
    """
    network = MLP(hidden, spec.action_size, activation, output_std=output_std)

    def init(key: jax.Array) -> Params:
        mean = network.init(key, jnp.zeros((1, spec.obs_size)))
        return {"mean": mean, "log_std": jnp.full(spec.action_size, init_log_std, jnp.float32)}

    def parameters(params: Params, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean = apply(network, params["mean"], obs[..., : spec.obs_size])
        return mean, jnp.broadcast_to(params["log_std"], mean.shape)

    def log_density(z: jax.Array, log_std: jax.Array) -> jax.Array:
        return (-0.5 * z**2 - log_std - 0.5 * LOG_2PI).sum(-1)

    def sample(params: Params, obs: jax.Array, key: jax.Array) -> Sample:
        mean, log_std = parameters(params, obs)
        z = jax.random.normal(key, mean.shape)
        std = jnp.exp(log_std)
        return Sample(mean + std * z, log_density(z, log_std), std)

    def mode(params: Params, obs: jax.Array) -> jax.Array:
        return jnp.clip(parameters(params, obs)[0], -1, 1)

    def evaluate(params: Params, obs: jax.Array, action: jax.Array) -> Evaluation:
        mean, log_std = parameters(params, obs)
        std = jnp.exp(log_std)
        return Evaluation(log_density((action - mean) / std, log_std), (log_std + GAUSSIAN_ENTROPY).sum(-1), std)

    def kl(old: Params, params: Params, obs: jax.Array) -> jax.Array:
        (old_mean, old_log_std), (mean, log_std) = parameters(old, obs), parameters(params, obs)
        ratio = jnp.exp(2 * (old_log_std - log_std))
        square = ((old_mean - mean) * jnp.exp(-log_std)) ** 2
        return (log_std - old_log_std + 0.5 * (ratio + square - 1)).sum(-1)

    return Policy(init, sample, mode, evaluate=evaluate, kl=kl)

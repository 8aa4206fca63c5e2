"""The tanh-Gaussian policy of SAC and the DSAC family."""

import math

import jax
import jax.numpy as jnp

from mjx_tecrl.networks import MLP, apply
from mjx_tecrl.policies.base import Policy, Sample
from mjx_tecrl.types import Params, Spec

LOG_2PI = math.log(2 * math.pi)


def tanh_gaussian_log_prob(z: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """Log-density ``[...]`` of ``tanh(mean + exp(log_std) z)`` given the standard normal draw ``z`` ``[..., d]``.

    From ``z`` and not from ``(u - mean) / std``, which loses all digits at small ``std`` (and its gradient with them).
    """
    u = mean + jnp.exp(log_std) * z
    log_jacobian = 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))
    return jnp.sum(-0.5 * z**2 - log_std - 0.5 * LOG_2PI - log_jacobian, axis=-1)


def sample_tanh_gaussian(mean: jax.Array, log_std: jax.Array, key: jax.Array) -> Sample:
    """A draw of ``tanh(mean + exp(log_std) z)``, all ``[batch, action_size]``; ``key`` alone decides the normal ``z``."""
    z = jax.random.normal(key, mean.shape)
    action = jnp.tanh(mean + jnp.exp(log_std) * z)
    return Sample(action, tanh_gaussian_log_prob(z, mean, log_std), jnp.exp(log_std))


def tanh_gaussian(
    spec: Spec,
    hidden: tuple[int, ...],
    activation: str = "gelu",
    log_std_range: tuple[float, float] = (-20.0, 0.5),
    layer_norm: bool = False,
    output_std: float | None = None,
) -> Policy:
    """One trunk with two outputs, mean and hard-clipped log_std; the deterministic action is ``tanh(mean)``.

    Args:
      spec: sizes.
      hidden: widths of the hidden layers.
      activation: hidden activation.
      log_std_range: limits of the log standard deviation.
      layer_norm: normalise each hidden layer.
      output_std: standard deviation of the output layer's initial weights.
    """
    network = MLP(hidden, 2 * spec.action_size, activation, layer_norm, output_std)

    def parameters(params: Params, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, log_std = jnp.split(apply(network, params, obs[..., : spec.obs_size]), 2, axis=-1)
        return mean, jnp.clip(log_std, *log_std_range)

    def init(key: jax.Array) -> Params:
        return network.init(key, jnp.zeros((1, spec.obs_size)))

    def sample(params: Params, obs: jax.Array, key: jax.Array) -> Sample:
        return sample_tanh_gaussian(*parameters(params, obs), key)

    def mode(params: Params, obs: jax.Array) -> jax.Array:
        return jnp.tanh(parameters(params, obs)[0])

    return Policy(init, sample, mode)

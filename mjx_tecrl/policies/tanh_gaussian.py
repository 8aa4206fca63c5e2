"""The tanh-Gaussian policy of SAC, the DSAC family and FlashSAC."""

from typing import Literal

import jax
import jax.numpy as jnp

from mjx_tecrl.distributions import tanh_gaussian as distribution
from mjx_tecrl.networks import Architecture
from mjx_tecrl.policies.base import ActionSample, Head, Policy, make_policy
from mjx_tecrl.types import Spec


def tanh_gaussian(
    spec: Spec,
    network: Architecture,
    log_std_range: tuple[float, float] = (-20.0, 0.5),
    log_std_limit: Literal["clip", "tanh"] = "clip",
) -> Policy:
    """One network with two outputs, the mean and the log standard deviation; the deterministic action is ``tanh(mean)``.

    Args:
      spec: sizes.
      network: what computes both outputs.
      log_std_range: limits of the log standard deviation.
      log_std_limit: how it is kept within them. "clip" cuts it off, which leaves no gradient beyond the limits; "tanh" moves
        it smoothly between them (FlashSAC).

    Raises:
      ValueError: empty limits, or another way of keeping them.
    """
    low, high = log_std_range
    if not low < high:
        raise ValueError(f"log_std_range must be an increasing pair, not {log_std_range}")
    if log_std_limit not in ("clip", "tanh"):
        raise ValueError(f'log_std_limit must be "clip" or "tanh", not {log_std_limit!r}')

    def parameters(output: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, raw = jnp.split(output, 2, axis=-1)
        if log_std_limit == "clip":
            return mean, jnp.clip(raw, low, high)
        return mean, low + (high - low) / 2 * (1 + jnp.tanh(raw))

    def sample(output: jax.Array, key: jax.Array) -> ActionSample:
        mean, log_std = parameters(output)
        z = jax.random.normal(key, mean.shape)
        action = jnp.tanh(mean + jnp.exp(log_std) * z)
        return ActionSample(action, distribution.log_prob(z, mean, log_std), jnp.exp(log_std))

    def mode(output: jax.Array) -> jax.Array:
        return jnp.tanh(parameters(output)[0])

    return make_policy(spec, network(spec.obs_size, 2 * spec.action_size), Head(sample, mode))

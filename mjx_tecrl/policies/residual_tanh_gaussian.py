"""FlashSAC's policy: a tanh-Gaussian on a residual network with batch normalisation (arXiv 2604.04539)."""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.networks import apply, apply_training, residual_network, settle
from mjx_tecrl.policies.base import Policy, Sample
from mjx_tecrl.policies.tanh_gaussian import sample_tanh_gaussian
from mjx_tecrl.types import Batch, Params, Spec


def residual_tanh_gaussian(spec: Spec, blocks: int, width: int, log_std_range: tuple[float, float] = (-10.0, 2.0)) -> Policy:
    """One trunk with two outputs, mean and log_std, the latter between its limits by a tanh.

    It acts, and draws the actions of the critics' targets, with running statistics. In its own loss the statistics are those
    of the batch's observations and next observations together.

    Args:
      spec: sizes.
      blocks: residual blocks.
      width: width of the network.
      log_std_range: limits of the log standard deviation.

    Raises:
      ValueError: no blocks, no width, or empty limits.
    """
    low, high = log_std_range
    if not low < high:
        raise ValueError(f"log_std_range must be an increasing pair, not {log_std_range}")
    network = residual_network(blocks, width, 2 * spec.action_size)

    def split(output: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, raw = jnp.split(output, 2, axis=-1)
        return mean, low + (high - low) / 2 * (1 + jnp.tanh(raw))

    def parameters(params: Params, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
        return split(apply(network, params, obs[..., : spec.obs_size]))

    def init(key: jax.Array) -> Params:
        params = network.init(key, jnp.zeros((1, spec.obs_size)))
        return settle(params, params["batch_stats"])

    def sample(params: Params, obs: jax.Array, key: jax.Array) -> Sample:
        return sample_tanh_gaussian(*parameters(params, obs), key)

    def mode(params: Params, obs: jax.Array) -> jax.Array:
        return jnp.tanh(parameters(params, obs)[0])

    def sample_in_training(params: Params, batch: Batch, key: jax.Array) -> tuple[Sample, Any]:
        obs = jnp.concatenate([batch.obs, batch.next_obs])[:, : spec.obs_size]
        output, statistics = apply_training(network, params, jnp.tile(batch.weight, 2), obs)
        return sample_tanh_gaussian(*split(output[: len(batch.obs)]), key), statistics

    return Policy(init, sample, mode, sample_in_training=sample_in_training, settle=settle)

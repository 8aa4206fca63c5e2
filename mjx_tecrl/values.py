"""State values: networks for on-policy agents, with PopArt's running normalisation of their targets (arXiv 1602.07714)."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mjx_tecrl.checks import check_array
from mjx_tecrl.networks import Architecture
from mjx_tecrl.types import Params, Spec, masked_mean

MIN_SCALE = 1e-2
"""Smallest scale of PopArt: targets that are all equal have no spread to divide by."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TargetStats:
    """Running averages over the targets, all of which start at 0.

    Attributes:
      mean: [] average of the targets' means.
      square: [] average of the targets' mean squares.
      weight: [] average of ones: the factor by which the others are still too small.
    """

    mean: jax.Array
    square: jax.Array
    weight: jax.Array

    def shift_and_scale(self) -> tuple[jax.Array, jax.Array]:
        """Mean and standard deviation of the targets; 0 and 1 before the first target."""
        seen = self.weight > 0
        mean = self.mean / jnp.where(seen, self.weight, 1.0)
        variance = self.square / jnp.where(seen, self.weight, 1.0) - mean**2
        return mean, jnp.where(seen, jnp.sqrt(jnp.maximum(variance, MIN_SCALE**2)), 1.0)


class ValueHead(NamedTuple):
    """A state value.

    Attributes:
      init: ``key -> params``.
      init_stats: ``() -> TargetStats``.
      value: ``(params, stats, obs [batch, critic_obs_size]) -> [batch]``.
      renormalize: ``(params, stats, targets [batch], valid [batch]) -> (params, stats)``. It moves the statistics towards
        the targets, and the last layer the other way, so that no value changes.
      loss: ``(params, stats, obs, targets, valid) -> ([], statistics)``, half the mean squared error in units of the
        targets' spread.
      settle: ``(params, statistics) -> params``, applied after each gradient step: see `Network`.
    """

    init: Callable[[jax.Array], Params]
    init_stats: Callable[[], TargetStats]
    value: Callable[[Params, TargetStats, jax.Array], jax.Array]
    renormalize: Callable[[Params, TargetStats, jax.Array, jax.Array], tuple[Params, TargetStats]]
    loss: Callable[[Params, TargetStats, jax.Array, jax.Array, jax.Array], tuple[jax.Array, Params]]
    settle: Callable[[Params, Params], Params]


def value_head(spec: Spec, network: Architecture, popart: float = 0.0) -> ValueHead:
    """One network with one output n. The value is ``mean + scale n``, with the running mean and spread of the targets.

    Args:
      spec: sizes.
      network: what computes n.
      popart: step of the running averages, taken once per rollout; 0 for a plain network, whose mean stays 0 and scale 1.

    Raises:
      ValueError: a step outside [0, 1], or PopArt on a network whose output layer cannot be rescaled.
    """
    if not 0 <= popart <= 1:
        raise ValueError(f"popart must be in [0, 1], not {popart}")
    net = network(spec.critic_obs_size, 1)
    last = net.output_layer
    if popart and last is None:
        raise ValueError("PopArt rescales the output layer, and this network keeps its weights on spheres: popart must be 0")

    def init_stats() -> TargetStats:
        # Three buffers, not one three times: the state is donated.
        return TargetStats(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))

    def value(params: Params, stats: TargetStats, obs: jax.Array) -> jax.Array:
        shift, scale = stats.shift_and_scale()
        check_array("obs", obs, (..., spec.critic_obs_size))
        return shift + scale * net.apply(params, obs)[..., 0]

    def renormalize(params: Params, stats: TargetStats, targets: jax.Array, valid: jax.Array) -> tuple[Params, TargetStats]:
        if last is None:
            return params, stats
        now = TargetStats(masked_mean(targets, valid), masked_mean(targets**2, valid), jnp.ones(()))
        step = jnp.where(valid.any(), popart, 0.0)
        new = jax.tree.map(lambda old, seen: (1 - step) * old + step * seen, stats, now)
        (shift, scale), (new_shift, new_scale) = stats.shift_and_scale(), new.shift_and_scale()
        layer = params["params"][last]
        layer = {
            "kernel": layer["kernel"] * (scale / new_scale),
            "bias": (scale * layer["bias"] + shift - new_shift) / new_scale,
        }
        return {"params": params["params"] | {last: layer}}, new

    def loss(
        params: Params, stats: TargetStats, obs: jax.Array, targets: jax.Array, valid: jax.Array
    ) -> tuple[jax.Array, Params]:
        check_array("obs", obs, (..., spec.critic_obs_size))
        shift, scale = stats.shift_and_scale()
        output, statistics = net.apply_training(params, obs, valid.astype(jnp.float32))
        return 0.5 * masked_mean((output[..., 0] - (targets - shift) / scale) ** 2, valid), statistics

    return ValueHead(net.init, init_stats, value, renormalize, loss, net.settle)

"""The categorical distributional critic (C51, arXiv 1707.06887) as FastTD3 and FlashSAC use it."""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.critics.base import Critic
from mjx_tecrl.critics.ensemble import action_network
from mjx_tecrl.networks import Architecture
from mjx_tecrl.types import Batch, Metrics, Params, Spec

MIN_LOG_PROB = -30.0
"""Floor of log-probabilities in the cross-entropy, in which 0 * -inf would be NaN."""


def project(probs: jax.Array, positions: jax.Array, atoms: jax.Array) -> jax.Array:
    """Moves probability mass onto the two atoms next to it, in proportion to nearness.

    Args:
      probs: ``[batch, n]`` mass.
      positions: ``[batch, n]`` where the mass lies; mass outside the atoms' range goes to the end atom.
      atoms: ``[n]`` equally spaced.

    Returns:
      ``[batch, n]`` mass on the atoms, with the same total.
    """
    last = len(atoms) - 1
    index = jnp.clip((positions - atoms[0]) / (atoms[-1] - atoms[0]) * last, 0, last)
    # Mass exactly on an atom goes to it whole, and only once: its upper neighbour's share is then 0.
    lower = jnp.minimum(jnp.floor(index), last - 1).astype(jnp.int32)
    upper_share = index - lower

    def deal(probs: jax.Array, lower: jax.Array, upper_share: jax.Array) -> jax.Array:
        return jnp.zeros_like(atoms).at[lower].add(probs * (1 - upper_share)).at[lower + 1].add(probs * upper_share)

    return jax.vmap(deal)(probs, lower, upper_share)


def value_atoms(num_atoms: int, value_range: tuple[float, float]) -> jax.Array:
    """``[num_atoms]`` equally spaced values.

    Raises:
      ValueError: an empty value range or fewer than two atoms.
    """
    low, high = value_range
    if not low < high:
        raise ValueError(f"value_range must be an increasing pair, not {value_range}")
    if num_atoms < 2:
        raise ValueError(f"num_atoms must be at least 2, not {num_atoms}")
    return jnp.linspace(low, high, num_atoms)


def categorical_loss(
    logits: jax.Array,
    next_logits: jax.Array,
    batch: Batch,
    next_bonus: jax.Array,
    atoms: jax.Array,
    pessimistic: bool = True,
) -> tuple[jax.Array, Metrics]:
    """The cross-entropy between predicted value distributions and projected targets.

    Args:
      logits: ``[members, batch, n]`` for the values of the batch's actions.
      next_logits: ``[members, batch, n]`` for the values of the next actions; they get no gradient.
      batch: supplies rewards, discounts and weights.
      next_bonus: ``[batch]`` added to the value of the next state.
      atoms: ``[n]`` equally spaced.
      pessimistic: all members learn towards the target of the member with the lowest next mean; without it, each member
        learns towards its own.

    Returns:
      ``[]`` sum over the members, and metrics.
    """
    next_probs = jax.nn.softmax(next_logits)
    if pessimistic:
        lowest = jnp.argmin(next_probs @ atoms, axis=0)[None, :, None]
        next_probs = jnp.take_along_axis(next_probs, lowest, axis=0)
    positions = batch.reward[:, None] + batch.discount[:, None] * (atoms + next_bonus[:, None])
    target = jax.lax.stop_gradient(jax.vmap(lambda probs: project(probs, positions, atoms))(next_probs))

    log_probs = jnp.maximum(jax.nn.log_softmax(logits), MIN_LOG_PROB)
    cross_entropy = -(target * log_probs).sum(-1)
    q = jnp.exp(log_probs) @ atoms
    metrics = {
        "q_mean": batch.mean(q).mean(),
        "q_std": batch.mean(jnp.sqrt((jnp.exp(log_probs) * (atoms - q[..., None]) ** 2).sum(-1))).mean(),
        "td_error": batch.mean(jnp.abs(q - target @ atoms)).mean(),
    }
    return batch.mean(cross_entropy).sum(), metrics


def categorical_critic(
    spec: Spec,
    network: Architecture,
    members: int = 2,
    num_atoms: int = 101,
    value_range: tuple[float, float] = (-250.0, 250.0),
    pessimistic: bool = True,
) -> Critic:
    """Independent critics over fixed atoms.

    Args:
      spec: sizes.
      network: what each critic is.
      members: number of critics.
      num_atoms: atoms of each value distribution.
      value_range: the lowest and the highest atom.
      pessimistic: all members learn towards the whole projected distribution of the member with the lowest mean, and the
        policy maximises the lowest mean (FastTD3, FlashSAC). Without it each member learns towards its own, and the policy
        maximises the mean of the members (FastSAC).

    Raises:
      ValueError: no members, an empty value range or fewer than two atoms.
    """
    networks = action_network(spec, network, num_atoms, members)
    atoms = value_atoms(num_atoms, value_range)

    def loss(
        params: Params,
        target_params: Params,
        aux: Any,
        batch: Batch,
        next_action: jax.Array,
        next_bonus: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array, tuple[Any, Any, Metrics]]:
        logits, next_logits, statistics = networks.both_ends(params, target_params, batch, next_action)
        value, metrics = categorical_loss(logits, next_logits, batch, next_bonus, atoms, pessimistic)
        return value, (aux, statistics, metrics)

    def value(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        means = jax.nn.softmax(networks.apply(params, obs, action)) @ atoms
        return means.min(0) if pessimistic else means.mean(0)

    return Critic(networks.init, tuple, loss, value, networks.settle)

"""FlashSAC's critic: C51 on a residual network whose batch normalisation sees both ends of every transition.

Batch normalisation in a critic needs the statistics of ``(s, a)`` and of ``(s', a')`` to be one (CrossQ, arXiv 1902.05605);
FlashSAC (arXiv 2604.04539) does that with a target critic beside it.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.critics.base import Critic
from mjx_tecrl.critics.categorical import categorical_loss, value_atoms
from mjx_tecrl.networks import apply_ensemble, apply_training, init_ensemble, residual_network, settle
from mjx_tecrl.types import Batch, Metrics, Params, Spec


def cross_batch_critic(
    spec: Spec,
    blocks: int,
    width: int,
    members: int = 2,
    num_atoms: int = 101,
    value_range: tuple[float, float] = (-5.0, 5.0),
) -> Critic:
    """Independent critics over fixed atoms.

    Critics and target critics are evaluated in training mode on one batch, whose first half are the batch's pairs of
    observation and action and whose second half are the next ones: the critics' first half is what is learned, the targets'
    second half what it is learned towards (the whole projected distribution of the member with the lowest mean). The policy
    maximises the lowest mean under the running statistics.

    Args:
      spec: sizes.
      blocks: residual blocks.
      width: width of the network.
      members: number of critics.
      num_atoms: atoms of each value distribution.
      value_range: the lowest and the highest atom.

    Raises:
      ValueError: no members, no blocks, no width, an empty value range or fewer than two atoms.
    """
    if members < 1:
        raise ValueError(f"there must be at least 1 critic, not {members}")
    atoms = value_atoms(num_atoms, value_range)
    network = residual_network(blocks, width, num_atoms)

    def init(key: jax.Array) -> Params:
        params = init_ensemble(network, members, key, jnp.zeros((1, spec.critic_obs_size + spec.action_size)))
        return settle(params, params["batch_stats"])

    def loss(
        params: Params,
        target_params: Params,
        aux: Any,
        batch: Batch,
        next_action: jax.Array,
        next_bonus: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        obs, action = jnp.concatenate([batch.obs, batch.next_obs]), jnp.concatenate([batch.action, next_action])
        inputs, weight = jnp.concatenate([obs, action], -1), jnp.tile(batch.weight, 2)
        evaluate = jax.vmap(lambda p: apply_training(network, p, weight, inputs))
        logits, statistics = evaluate(params)
        next_logits, _ = evaluate(target_params)
        size = len(batch.obs)
        value, metrics = categorical_loss(logits[:, :size], next_logits[:, size:], batch, next_bonus, atoms)
        return value, (statistics, metrics)

    def value(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        logits = apply_ensemble(network, params, jnp.concatenate([obs, action], -1))
        return (jax.nn.softmax(logits) @ atoms).min(0)

    return Critic(init, tuple, loss, value, settle=lambda params, statistics: (settle(params, statistics), ()))

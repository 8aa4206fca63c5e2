"""The scalar critic of DDPG, TD3 and SAC: one number per action, learned by squared error."""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.critics.base import Critic
from mjx_tecrl.critics.ensemble import action_network
from mjx_tecrl.networks import Architecture
from mjx_tecrl.types import Batch, Metrics, Params, Spec


def scalar_critic(spec: Spec, network: Architecture, members: int = 2) -> Critic:
    """Independent critics, which all learn towards the smallest of their targets (arXiv 1802.09477, Eq. 10).

    Args:
      spec: sizes.
      network: what each critic is.
      members: number of critics.

    Raises:
      ValueError: no members.
    """
    networks = action_network(spec, network, 1, members)

    def loss(
        params: Params,
        target_params: Params,
        aux: Any,
        batch: Batch,
        next_action: jax.Array,
        next_bonus: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array, tuple[Any, Any, Metrics]]:
        output, next_output, statistics = networks.both_ends(params, target_params, batch, next_action)
        q, next_value = output[..., 0], next_output[..., 0].min(0)
        target = jax.lax.stop_gradient(batch.reward + batch.discount * (next_value + next_bonus))
        metrics = {"q_mean": batch.mean(q).mean(), "td_error": batch.mean(jnp.abs(q - target)).mean()}
        return batch.mean((q - target) ** 2).sum(), (aux, statistics, metrics)

    def value(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        return networks.apply(params, obs, action)[..., 0].min(0)

    return Critic(networks.init, tuple, loss, value, networks.settle)

"""The scalar critic of DDPG, TD3 and SAC: a number per action, learned by squared error."""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.critics.base import Critic
from mjx_tecrl.networks import MLP, apply_ensemble, init_ensemble
from mjx_tecrl.types import Batch, Metrics, Params, Spec


def scalar_critic(
    spec: Spec, hidden: tuple[int, ...], activation: str = "gelu", members: int = 2, layer_norm: bool = False
) -> Critic:
    """Independent critics, which all learn towards the smallest of their targets (arXiv 1802.09477, Eq. 10).

    Args:
      spec: sizes.
      hidden: widths of the hidden layers.
      activation: hidden activation.
      members: number of critics.
      layer_norm: normalise each hidden layer.

    Raises:
      ValueError: no members.
    """
    if members < 1:
        raise ValueError(f"there must be at least 1 critic, not {members}")
    network = MLP(hidden, 1, activation, layer_norm)

    def predict(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        """``[members, batch]``."""
        return apply_ensemble(network, params, jnp.concatenate([obs, action], -1))[..., 0]

    def init(key: jax.Array) -> Params:
        return init_ensemble(network, members, key, jnp.zeros((1, spec.critic_obs_size + spec.action_size)))

    def loss(
        params: Params,
        target_params: Params,
        aux: Any,
        batch: Batch,
        next_action: jax.Array,
        next_bonus: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        next_value = predict(target_params, batch.next_obs, next_action).min(0)
        target = jax.lax.stop_gradient(batch.reward + batch.discount * (next_value + next_bonus))
        q = predict(params, batch.obs, batch.action)
        metrics = {"q_mean": batch.mean(q).mean(), "td_error": batch.mean(jnp.abs(q - target)).mean()}
        return batch.mean((q - target) ** 2).sum(), (aux, metrics)

    def value(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        return predict(params, obs, action).min(0)

    return Critic(init, tuple, loss, value)

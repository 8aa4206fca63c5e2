"""TECRL's separation of reward and entropy: a critic of its own for the entropy to come (arXiv 2511.11592).

The reward's critic never sees the temperature; the entropy critic Q_e learns the discounted sum of future policy entropies.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.entropy.base import EntropyRule
from mjx_tecrl.entropy.temperature import Temperature
from mjx_tecrl.networks import MLP, apply_ensemble, init_ensemble
from mjx_tecrl.policies import Sample
from mjx_tecrl.types import Batch, Metrics, Params, Spec


def separated_entropy(
    spec: Spec,
    hidden: tuple[int, ...],
    temperature: Temperature,
    discount: float,
    activation: str = "gelu",
    members: int = 1,
    normalized: bool = False,
    terminal_entropy: bool = False,
    guides_policy: bool = True,
) -> EntropyRule:
    """An entropy critic beside the reward's.

    Args:
      spec: sizes.
      hidden: widths of the entropy critic's hidden layers.
      temperature: what alpha follows.
      discount: the discount factor gamma of the sum of entropies.
      activation: the entropy critic's activation.
      members: entropy critics, of which the smallest counts.
      normalized: learn ``(1 - discount) Q_e``, whose targets are of the order of one step's entropy.
      terminal_entropy: count the entropy in a terminal state itself, though nothing is done there.
      guides_policy: whether the policy seeks states of much entropy to come; without it only that of the current step.

    Raises:
      ValueError: no members, or a discount outside [0, 1).
    """
    if members < 1:
        raise ValueError(f"there must be at least 1 entropy critic, not {members}")
    if not 0 <= discount < 1:
        raise ValueError(f"discount must be in [0, 1), not {discount}")
    network = MLP(hidden, 1, activation)
    unit = 1 - discount if normalized else 1.0

    def predict(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        """``[members, batch]``."""
        return apply_ensemble(network, params, jnp.concatenate([obs, action], -1))[..., 0] / unit

    def init_critic(key: jax.Array) -> Params:
        return init_ensemble(network, members, key, jnp.zeros((1, spec.critic_obs_size + spec.action_size)))

    def critic_loss(params: Params, target_params: Params, batch: Batch, sample: Sample) -> tuple[jax.Array, Metrics]:
        """(TECRL Eq. 12-13), with no entropy beyond a terminal state."""
        future = predict(target_params, batch.next_obs, sample.action).min(0)
        entropy_discount = jnp.where(batch.discount == 0, discount, batch.discount) if terminal_entropy else batch.discount
        target = jax.lax.stop_gradient(-entropy_discount * sample.log_prob + batch.discount * future)
        error = predict(params, batch.obs, batch.action) - target
        return batch.mean((unit * error) ** 2).sum(), {"entropy_critic_error": batch.mean(jnp.abs(error)).mean()}

    def policy_cost(params: Params, dual: Any, obs: jax.Array, sample: Sample) -> jax.Array:
        """(TECRL Eq. 14, negated: a cost to descend)."""
        future = predict(params, obs, sample.action).min(0) if guides_policy else 0.0
        return jnp.exp(temperature.log_alpha(dual)) * (sample.log_prob - future)

    def temperature_loss(
        dual: Any, params: Params, batch: Batch, sample: Sample, value: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        to_go = predict(params, batch.obs, sample.action).min(0)
        entropy, entropy_to_go = jax.lax.stop_gradient((batch.mean(-sample.log_prob), batch.mean(to_go)))
        loss, metrics = temperature.loss(dual, entropy, entropy_to_go, batch.mean(value))
        trajectory = {"entropy_to_go": entropy_to_go, "trajectory_entropy": entropy + entropy_to_go}
        return loss, {"log_alpha": temperature.log_alpha(dual)} | trajectory | metrics

    return EntropyRule(
        init_critic=init_critic,
        init_temperature=temperature.init,
        next_bonus=lambda dual, sample: jnp.zeros_like(sample.log_prob),
        critic_loss=critic_loss,
        policy_cost=policy_cost,
        temperature_loss=temperature_loss,
    )

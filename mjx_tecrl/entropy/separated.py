"""TECRL's separation of reward and entropy: a second critic learns the entropy to come (arXiv 2511.11592).

The critic of rewards never sees the temperature. The entropy critic Q_e learns the discounted sum of future policy
entropies.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.critics import action_network
from mjx_tecrl.entropy.base import EntropyRule
from mjx_tecrl.entropy.temperature import Temperature
from mjx_tecrl.networks import Architecture
from mjx_tecrl.policies import ActionSample
from mjx_tecrl.types import Batch, Metrics, Params, Spec


def separated_entropy(
    spec: Spec,
    network: Architecture,
    temperature: Temperature,
    discount: float,
    members: int = 1,
    normalized: bool = False,
    terminal_entropy: bool = False,
    guides_policy: bool = True,
) -> EntropyRule:
    """An entropy critic beside the critic of rewards.

    Args:
      spec: sizes.
      network: what each entropy critic is.
      temperature: what alpha follows.
      discount: the discount factor gamma of the sum of entropies.
      members: number of entropy critics; the smallest of their values counts.
      normalized: learn ``(1 - discount) Q_e``, whose targets are of the order of one step's entropy.
      terminal_entropy: count the entropy in a terminal state itself, although no action follows there.
      guides_policy: whether the policy seeks states with much entropy to come. Without it, the policy's loss counts only the
        entropy of the current step.

    Raises:
      ValueError: no members, or a discount outside [0, 1).
    """
    if not 0 <= discount < 1:
        raise ValueError(f"discount must be in [0, 1), not {discount}")
    networks = action_network(spec, network, 1, members, "entropy critic")
    unit = 1 - discount if normalized else 1.0

    def predict(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        """``[members, batch]``."""
        return networks.apply(params, obs, action)[..., 0] / unit

    def critic_loss(
        params: Params, target_params: Params, batch: Batch, sample: ActionSample
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        """(TECRL Eq. 12-13), with no entropy beyond a terminal state."""
        output, next_output, statistics = networks.both_ends(params, target_params, batch, sample.action)
        future = (next_output[..., 0] / unit).min(0)
        entropy_discount = jnp.where(batch.discount == 0, discount, batch.discount) if terminal_entropy else batch.discount
        target = jax.lax.stop_gradient(-entropy_discount * sample.log_prob + batch.discount * future)
        error = output[..., 0] / unit - target
        metrics = {"entropy_critic_error": batch.mean(jnp.abs(error)).mean()}
        return batch.mean((unit * error) ** 2).sum(), (statistics, metrics)

    def policy_cost(params: Params, dual: Any, obs: jax.Array, sample: ActionSample) -> jax.Array:
        """(TECRL Eq. 14, negated: a cost to descend)."""
        future = predict(params, obs, sample.action).min(0) if guides_policy else 0.0
        return jnp.exp(temperature.log_alpha(dual)) * (sample.log_prob - future)

    def temperature_loss(
        dual: Any, params: Params, batch: Batch, sample: ActionSample, value: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        to_go = predict(params, batch.obs, sample.action).min(0)
        entropy, entropy_to_go = jax.lax.stop_gradient((batch.mean(-sample.log_prob), batch.mean(to_go)))
        loss, metrics = temperature.loss(dual, entropy, entropy_to_go, batch.mean(value))
        trajectory = {"entropy_to_go": entropy_to_go, "trajectory_entropy": entropy + entropy_to_go}
        return loss, {"log_alpha": temperature.log_alpha(dual)} | trajectory | metrics

    return EntropyRule(
        init_critic=networks.init,
        init_temperature=temperature.init,
        next_bonus=lambda dual, sample: jnp.zeros_like(sample.log_prob),
        critic_loss=critic_loss,
        policy_cost=policy_cost,
        temperature_loss=temperature_loss,
        settle=networks.settle,
        learns_critic=True,
        learns_temperature=temperature.is_learned,
    )

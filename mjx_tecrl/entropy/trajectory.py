"""TECRL: a separate entropy critic, and a constraint on the entropy of the whole trajectory (arXiv 2511.11592).

The reward's critic never sees the temperature; the entropy critic Q_e learns the discounted sum of future policy
entropies; the temperature rises while the trajectory's entropy -log pi + Q_e is below its budget and falls while it is
above.
"""

import jax
import jax.numpy as jnp

from mjx_tecrl.entropy.base import EntropyRule
from mjx_tecrl.networks import MLP, apply
from mjx_tecrl.policies import Sample
from mjx_tecrl.types import Batch, Metrics, Params, Spec


def trajectory_entropy(
    spec: Spec,
    hidden: tuple[int, ...],
    activation: str = "gelu",
    rho: float = 1.0,
    discount: float = 0.99,
    init_log_alpha: float = 1.0,
) -> EntropyRule:
    """The trajectory entropy constraint.

    Args:
      spec: sizes.
      hidden: widths of the entropy critic's hidden layers.
      activation: its activation.
      rho: the budget in units of the usual target entropy -action_size.
      discount: the discount factor gamma of the sum of entropies.
      init_log_alpha: initial log temperature.

    Raises:
      ValueError: a discount for which there is no finite budget.
    """
    if not 0 <= discount < 1:
        raise ValueError(f"discount must be in [0, 1), not {discount}")
    network = MLP(hidden, 1, activation)
    budget = -rho * spec.action_size / (1 - discount)

    def predict(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        return apply(network, params, jnp.concatenate([obs, action], -1))[..., 0]

    def init_critic(key: jax.Array) -> Params:
        return network.init(key, jnp.zeros((1, spec.critic_obs_size + spec.action_size)))

    def critic_loss(params: Params, target_params: Params, batch: Batch, sample: Sample) -> tuple[jax.Array, Metrics]:
        """(TECRL Eq. 12-13), with no entropy beyond a terminal state."""
        future = predict(target_params, batch.next_obs, sample.action)
        target = jax.lax.stop_gradient(batch.discount * (-sample.log_prob + future))
        error = predict(params, batch.obs, batch.action) - target
        return batch.mean(error**2), {"entropy_critic_error": batch.mean(jnp.abs(error))}

    def policy_cost(params: Params, log_alpha: jax.Array, obs: jax.Array, sample: Sample) -> jax.Array:
        """(TECRL Eq. 14, negated: a cost to descend)."""
        return jnp.exp(log_alpha) * (sample.log_prob - predict(params, obs, sample.action))

    def temperature_loss(log_alpha: jax.Array, params: Params, batch: Batch, sample: Sample) -> tuple[jax.Array, Metrics]:
        """(TECRL Eq. 15 as a loss to descend: the printed objective is the dual's, to be maximised)."""
        entropy_to_go = predict(params, batch.obs, sample.action)
        trajectory = jax.lax.stop_gradient(batch.mean(-sample.log_prob + entropy_to_go))
        metrics = {
            "log_alpha": log_alpha,
            "entropy_to_go": batch.mean(entropy_to_go),
            "trajectory_entropy": trajectory,
            "budget_gap": trajectory - budget,
        }
        return log_alpha * (trajectory - budget), metrics

    return EntropyRule(
        init_critic=init_critic,
        init_log_alpha=lambda: jnp.asarray(init_log_alpha, jnp.float32),
        next_bonus=lambda log_alpha, sample: jnp.zeros_like(sample.log_prob),
        critic_loss=critic_loss,
        policy_cost=policy_cost,
        temperature_loss=temperature_loss,
    )

"""Entropy inside the action value, as in SAC and DSAC-T: the critic learns the sum of reward and priced entropy."""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.entropy.base import EntropyRule
from mjx_tecrl.entropy.temperature import Temperature
from mjx_tecrl.policies import ActionSample
from mjx_tecrl.types import Batch, Metrics, Params


def entropy_in_value(temperature: Temperature) -> EntropyRule:
    """The value of the next state is its action's value minus alpha log pi, and the policy maximises the same difference.

    If a transition spans several steps, only the entropy after the last of them counts.

    Args:
      temperature: what alpha follows.

    Raises:
      ValueError: a temperature that follows the entropy to go, which only an entropy critic knows.
    """
    if temperature.needs_entropy_to_go:
        raise ValueError("a trajectory's entropy budget needs an entropy critic: the entropy cannot be inside the value")

    def cost(dual: Any, sample: ActionSample) -> jax.Array:
        return jnp.exp(temperature.log_alpha(dual)) * sample.log_prob

    def temperature_loss(
        dual: Any, params: Params, batch: Batch, sample: ActionSample, value: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        entropy = jax.lax.stop_gradient(batch.mean(-sample.log_prob))
        loss, metrics = temperature.loss(dual, entropy, None, batch.mean(value))
        return loss, {"log_alpha": temperature.log_alpha(dual)} | metrics

    return EntropyRule(
        init_critic=lambda key: (),
        init_temperature=temperature.init,
        next_bonus=lambda dual, sample: -cost(dual, sample),
        critic_loss=lambda params, target_params, batch, sample: (jnp.zeros(()), ((), {})),
        policy_cost=lambda params, dual, obs, sample: cost(dual, sample),
        temperature_loss=temperature_loss,
        learns_temperature=temperature.is_learned,
    )

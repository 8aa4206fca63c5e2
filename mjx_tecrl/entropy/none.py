"""No entropy rule, for deterministic policies and for ERA, whose activation is the constraint."""

import jax.numpy as jnp

from mjx_tecrl.entropy.base import EntropyRule


def no_entropy() -> EntropyRule:
    """A rule that adds nothing."""
    zero = jnp.zeros(())
    return EntropyRule(
        init_critic=lambda key: (),
        init_temperature=tuple,
        next_bonus=lambda dual, sample: jnp.zeros_like(sample.log_prob),
        critic_loss=lambda params, target_params, batch, sample: (zero, ((), {})),
        policy_cost=lambda params, dual, obs, sample: jnp.zeros_like(sample.log_prob),
        temperature_loss=lambda dual, params, batch, sample, value: (zero, {}),
        needs_density=False,
    )

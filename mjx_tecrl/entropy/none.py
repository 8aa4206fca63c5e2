"""No entropy rule: nothing in any loss. For deterministic policies, and for ERA, whose activation is the constraint."""

import jax.numpy as jnp

from mjx_tecrl.entropy.base import EntropyRule


def no_entropy() -> EntropyRule:
    """A rule that adds nothing."""
    zero = jnp.zeros(())
    return EntropyRule(
        init_critic=lambda key: (),
        init_log_alpha=tuple,
        next_bonus=lambda log_alpha, sample: jnp.zeros_like(sample.log_prob),
        critic_loss=lambda params, target_params, batch, sample: (zero, {}),
        policy_cost=lambda params, log_alpha, obs, sample: jnp.zeros_like(sample.log_prob),
        temperature_loss=lambda log_alpha, params, batch, sample: (zero, {}),
        needs_density=False,
    )

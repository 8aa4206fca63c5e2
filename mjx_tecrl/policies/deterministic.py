"""The deterministic policy of DDPG, TD3 and FastTD3."""

import jax
import jax.numpy as jnp

from mjx_tecrl.networks import Architecture
from mjx_tecrl.policies.base import ActionSample, Head, Policy, make_policy
from mjx_tecrl.types import Spec


def deterministic(spec: Spec, network: Architecture) -> Policy:
    """The action is ``tanh`` of the network's output. A sample is the action itself, and has no density (NaN).

    Args:
      spec: sizes.
      network: what computes the action.
    """

    def sample(output: jax.Array, key: jax.Array) -> ActionSample:
        action = jnp.tanh(output)
        return ActionSample(action, jnp.full(action.shape[:-1], jnp.nan), jnp.zeros_like(action))

    return make_policy(spec, network(spec.obs_size, spec.action_size), Head(sample, jnp.tanh, has_density=False))

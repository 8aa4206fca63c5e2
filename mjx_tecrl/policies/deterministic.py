"""The deterministic policy of DDPG, TD3 and FastTD3."""

import jax
import jax.numpy as jnp

from mjx_tecrl.networks import MLP, apply
from mjx_tecrl.policies.base import Policy, Sample
from mjx_tecrl.types import Params, Spec


def deterministic(spec: Spec, hidden: tuple[int, ...], activation: str = "gelu", output_std: float | None = None) -> Policy:
    """The action is ``tanh`` of the network's output; a sample is the action itself, and has no density (NaN).

    Args:
      spec: sizes.
      hidden: widths of the hidden layers.
      activation: hidden activation.
      output_std: standard deviation of the output layer's initial weights.
    """
    network = MLP(hidden, spec.action_size, activation, output_std=output_std)

    def mode(params: Params, obs: jax.Array) -> jax.Array:
        return jnp.tanh(apply(network, params, obs[..., : spec.obs_size]))

    def init(key: jax.Array) -> Params:
        return network.init(key, jnp.zeros((1, spec.obs_size)))

    def sample(params: Params, obs: jax.Array, key: jax.Array) -> Sample:
        action = mode(params, obs)
        return Sample(action, jnp.full(action.shape[:-1], jnp.nan), jnp.zeros_like(action))

    return Policy(init, sample, mode, has_density=False)

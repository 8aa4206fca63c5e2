"""What all critics have in common: an ensemble of networks whose input are observations and actions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mjx_tecrl.checks import check_array
from mjx_tecrl.networks import Architecture, both_ends, ensemble
from mjx_tecrl.types import Batch, Params, Spec


class ActionNetwork(NamedTuple):
    """An ensemble of independent networks of the same observations and actions.

    Attributes:
      init: ``key -> params``.
      apply: ``(params, obs [batch, critic_obs_size], action [batch, action_size]) -> [members, batch, output_size]``.
      both_ends: ``(params, target_params, batch, next_action [batch, action_size]) -> (output, target output, statistics)``,
        what a loss compares: the output at the batch's observations and actions, and the target networks' at the next ones.
      settle: ``(params, statistics) -> params``, applied after each gradient step: see `Network`.
    """

    init: Callable[[jax.Array], Params]
    apply: Callable[[Params, jax.Array, jax.Array], jax.Array]
    both_ends: Callable[[Params, Params, Batch, jax.Array], tuple[jax.Array, jax.Array, Params]]
    settle: Callable[[Params, Params], Params]


def action_network(
    spec: Spec, network: Architecture, output_size: int, members: int, called: str = "critic"
) -> ActionNetwork:
    """An ensemble of networks of observations and actions.

    Args:
      spec: sizes.
      network: what each member is.
      output_size: width of each member's output.
      members: number of members.
      called: what to call a member in an error.

    Raises:
      ValueError: no members.
    """
    if members < 1:
        raise ValueError(f"there must be at least 1 {called}, not {members}")
    networks = ensemble(network(spec.critic_obs_size + spec.action_size, output_size), members)

    def join(obs: jax.Array, action: jax.Array) -> jax.Array:
        check_array("obs", obs, (..., spec.critic_obs_size))
        check_array("action", action, (*obs.shape[:-1], spec.action_size))
        return jnp.concatenate([obs, action], -1)

    def apply(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        output: jax.Array = networks.apply(params, join(obs, action))
        return output

    def ends(
        params: Params, target_params: Params, batch: Batch, next_action: jax.Array
    ) -> tuple[jax.Array, jax.Array, Params]:
        start, end = join(batch.obs, batch.action), join(batch.next_obs, next_action)
        return both_ends(networks, params, target_params, start, end, batch.weight)

    return ActionNetwork(networks.init, apply, ends, networks.settle)

"""What an entropy rule is to the rest of an agent."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mjx_tecrl.policies import ActionSample
from mjx_tecrl.types import Batch, Metrics, Params


class EntropyRule(NamedTuple):
    """How an agent controls its policy's entropy.

    A rule may own an entropy critic and a temperature; in place of one that it does not own stands an empty tuple. ``dual``
    is what is learned of the temperature, which is the multiplier of a constraint.

    Attributes:
      init_critic: ``key -> params``, those of the entropy critic.
      init_temperature: ``() -> dual``.
      next_bonus: ``(dual, sample of the next action) -> [batch]``, what the rule adds to the value of the next state
        in the critic's target.
      critic_loss: ``(params, target_params, batch, sample of the next action) -> ([], (statistics, metrics))``; its batch
        holds the first step of each transition, however many steps the reward critic walks.
      policy_cost: ``(critic params, dual, obs, sample) -> [batch]``, what the rule adds to the policy's loss.
      temperature_loss: ``(dual, critic params, batch, sample, value [batch]) -> ([], metrics)``, where ``value`` is the
        action value of the sample.
      settle: ``(critic params, statistics) -> critic params``, applied after each gradient step: see `Network`.
      needs_density: whether the rule reads log-probabilities, which a deterministic policy does not have.
      learns_critic: whether the rule has an entropy critic, which must have an optimiser.
      learns_temperature: whether the temperature follows something, so that it must have an optimiser.
    """

    init_critic: Callable[[jax.Array], Params]
    init_temperature: Callable[[], Any]
    next_bonus: Callable[[Any, ActionSample], jax.Array]
    critic_loss: Callable[[Params, Params, Batch, ActionSample], tuple[jax.Array, tuple[Any, Metrics]]]
    policy_cost: Callable[[Params, Any, jax.Array, ActionSample], jax.Array]
    temperature_loss: Callable[[Any, Params, Batch, ActionSample, jax.Array], tuple[jax.Array, Metrics]]
    settle: Callable[[Params, Any], Params] = lambda params, statistics: params
    needs_density: bool = True
    learns_critic: bool = False
    learns_temperature: bool = False

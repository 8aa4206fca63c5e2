"""What a critic is to the rest of an agent."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mjx_tecrl.types import Batch, Metrics, Params


class Critic(NamedTuple):
    """A critic: an ensemble of action values, scalar or distributional.

    Attributes:
      init: ``key -> params``.
      init_aux: ``() -> aux``, running statistics that the loss keeps without gradients (an empty tuple if there are none).
      loss: ``(params, target_params, aux, batch, next_action, next_bonus, key) -> (loss [], (aux, statistics, metrics))``.
        ``next_bonus`` ``[batch]`` is added to the value of the next state: -alpha log pi where the entropy rule puts
        entropy into the action value, 0 where it does not.
      value: ``(params, obs, action) -> [batch]``, what the policy maximises.
      settle: ``(params, statistics) -> params``, applied after each gradient step: see `Network`.
    """

    init: Callable[[jax.Array], Params]
    init_aux: Callable[[], Any]
    loss: Callable[
        [Params, Params, Any, Batch, jax.Array, jax.Array, jax.Array],
        tuple[jax.Array, tuple[Any, Any, Metrics]],
    ]
    value: Callable[[Params, jax.Array, jax.Array], jax.Array]
    settle: Callable[[Params, Any], Params] = lambda params, statistics: params

"""The few types that the pieces of an agent exchange."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.checks import check_array

Params = Any
"""A pytree of arrays."""
Metrics = dict[str, jax.Array]
"""Named scalars. NaN stands for "not computed this time" and is left out of averages."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """Sizes of the problem an agent is built for.

    Attributes:
      obs_size: width of what the policy observes.
      action_size: width of an action.
      privileged_size: width of what only the critics observe; in the same array, it follows the policy's observation.
    """

    obs_size: int
    action_size: int
    privileged_size: int = 0

    @property
    def critic_obs_size(self) -> int:
        """Width of what the critics observe: everything."""
        return self.obs_size + self.privileged_size


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """Transitions for one update.

    Attributes:
      obs: ``[batch, critic_obs_size]``; what the policy observes comes first.
      action: ``[batch, action_size]`` in [-1, 1].
      reward: ``[batch]`` the discounted sum of the rewards of k steps.
      discount: ``[batch]`` factor of the value of ``next_obs``: gamma^k, or 0 where the episode terminated.
      next_obs: ``[batch, critic_obs_size]`` the observation k steps later.
      weight: ``[batch]`` 1 for a valid row, which is a real transition; 0 for any other row.
      one_step: ``discount`` and ``next_obs`` after the first of the k steps; None if k is always 1.
    """

    obs: jax.Array
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_obs: jax.Array
    weight: jax.Array
    one_step: tuple[jax.Array, jax.Array] | None = None

    def map_obs(self, function: Callable[[jax.Array], jax.Array]) -> "Batch":
        """Applies ``function`` to all observations of the batch."""
        one_step = None if self.one_step is None else (self.one_step[0], function(self.one_step[1]))
        return dataclasses.replace(self, obs=function(self.obs), next_obs=function(self.next_obs), one_step=one_step)

    def mean(self, values: jax.Array) -> jax.Array:
        """The mean of ``values`` ``[..., batch]`` over the valid rows."""
        return masked_mean(values, self.weight > 0)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rollout:
    """What one policy did in all worlds over consecutive steps. Row t + 1 holds the observation that followed row t.

    The last step of an episode is followed by a row that is not valid: its observation is the episode's final one.

    Attributes:
      obs: ``[steps, worlds, critic_obs_size]``; what the policy observes comes first. Finite, also in rows that are not
        valid.
      action: ``[steps, worlds, action_size]`` as drawn, before any clipping to [-1, 1].
      reward: ``[steps, worlds]``.
      terminated: ``[steps, worlds]`` bool, the value of what follows is 0.
      done: ``[steps, worlds]`` bool, terminated or truncated.
      valid: ``[steps, worlds]`` bool, the row is a real transition. Of a row that is not, only ``obs`` means anything.
      last_obs: ``[worlds, critic_obs_size]`` the observation that followed the last row.
    """

    obs: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    done: jax.Array
    valid: jax.Array
    last_obs: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Transitions:
    """Rows of a rollout, ready to learn from. All of them are constants: no gradient flows through them.

    Attributes:
      obs: ``[batch, critic_obs_size]``.
      action: ``[batch, action_size]``.
      log_prob: ``[batch]`` of ``action`` under the policy that drew it.
      advantage: ``[batch]``.
      returns: ``[batch, streams]`` what each value network should predict.
      valid: ``[batch]`` bool, the row is a real transition.
    """

    obs: jax.Array
    action: jax.Array
    log_prob: jax.Array
    advantage: jax.Array
    returns: jax.Array
    valid: jax.Array

    def mean(self, values: jax.Array) -> jax.Array:
        """The mean of ``values`` ``[..., batch]`` over the valid rows."""
        return masked_mean(values, self.valid)


def masked_mean(values: jax.Array, valid: jax.Array) -> jax.Array:
    """The mean of ``values`` ``[..., batch]`` where ``valid`` ``[batch]``; 0 if nothing is valid."""
    # A select, not a product: NaN times zero is NaN.
    return jnp.where(valid, values, 0.0).sum(-1) / valid.sum(dtype=jnp.float32).clip(1.0)


def check_batch(batch: Batch) -> None:
    """Checks that a batch is as `Batch` says.

    Raises:
      TypeError, ValueError: a field that would be broadcast or cast; the message names it.
    """
    check_array("batch.obs", batch.obs, (None, None))
    size, width = batch.obs.shape
    check_array("batch.action", batch.action, (size, None))
    check_array("batch.next_obs", batch.next_obs, (size, width))
    for name in ("reward", "discount", "weight"):
        check_array(f"batch.{name}", getattr(batch, name), (size,))
    if batch.one_step is not None:
        discount, next_obs = batch.one_step
        check_array("batch.one_step[0]", discount, (size,))
        check_array("batch.one_step[1]", next_obs, (size, width))


def check_rollout(rollout: Rollout) -> None:
    """Checks that a rollout is as `Rollout` says.

    Raises:
      TypeError, ValueError: a field that would be broadcast or cast; the message names it.
    """
    check_array("rollout.obs", rollout.obs, (None, None, None))
    steps, worlds, width = rollout.obs.shape
    check_array("rollout.action", rollout.action, (steps, worlds, None))
    check_array("rollout.reward", rollout.reward, (steps, worlds))
    for name in ("terminated", "done", "valid"):
        check_array(f"rollout.{name}", getattr(rollout, name), (steps, worlds), bool)
    check_array("rollout.last_obs", rollout.last_obs, (worlds, width))

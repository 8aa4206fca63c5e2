"""Generalised advantage estimation over rollouts with next-step autoreset (arXiv 1506.02438)."""

import jax
import jax.numpy as jnp

from mjx_tecrl.types import Rollout


def gae(
    reward: jax.Array,
    value: jax.Array,
    last_value: jax.Array,
    rollout: Rollout,
    discount: float,
    gae_lambda: float,
) -> jax.Array:
    """Advantages: sums of TD errors, discounted by ``discount * gae_lambda`` (arXiv 1506.02438, Eq. 16).

    The value that follows a row is that of the next row's observation. After a truncation that is the episode's final
    observation; after a termination the value is 0. A sum ends with its episode, and before a row that is not valid (a world
    that blew up).

    Args:
      reward: ``[steps, worlds]`` what is summed.
      value: ``[steps, worlds]`` values of the rows' observations.
      last_value: ``[worlds]`` values of the observations that followed the last row.
      rollout: tells where episodes end and which rows are valid.
      discount: discount factor gamma.
      gae_lambda: 0 for one TD error, 1 for the whole sum.

    Returns:
      ``[steps, worlds]``; 0 in rows that are not valid.
    """
    next_value = jnp.concatenate([value[1:], last_value[None]])
    future = jnp.where(rollout.terminated, 0.0, discount * next_value)
    # A select, not a product: a row that is not valid may hold NaN.
    error = jnp.where(rollout.valid, reward + future - value, 0.0)

    def step(later: jax.Array, row: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        error, done, valid = row
        sum_ = error + jnp.where(done, 0.0, discount * gae_lambda * later)
        advantage = jnp.where(valid, sum_, 0.0)
        return advantage, advantage

    _, advantages = jax.lax.scan(step, jnp.zeros_like(last_value), (error, rollout.done, rollout.valid), reverse=True)
    return advantages

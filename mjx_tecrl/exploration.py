"""Exploration: how a policy's samples are drawn while experience is collected, and what noise is added to them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mjx_tecrl.checks import check_array

Draw = Callable[[jax.Array], jax.Array]
"""``key -> action [num_envs, action_size]``: a sample of the policy in every world. The same key draws the same noise."""


class Exploration(NamedTuple):
    """Exploration beside the policy's own.

    Attributes:
      init: ``(key, num_envs) -> state``.
      apply: ``(state, draw, starts_episode [num_envs] bool, key) -> (action [num_envs, action_size], state)``.
      axes: the leading axes of every array in the state: ``("world",)``, or ``()`` if all worlds share them.
    """

    init: Callable[[jax.Array, int], Any]
    apply: Callable[[Any, Draw, jax.Array, jax.Array], tuple[jax.Array, Any]]
    axes: tuple[str, ...]


def no_exploration() -> Exploration:
    """The policy's own samples."""
    return Exploration(lambda key, num_envs: (), lambda state, draw, starts_episode, key: (draw(key), state), axes=())


def gaussian_noise(std: float) -> Exploration:
    """Additive Gaussian noise, the same scale in every world (TD3).

    Args:
      std: standard deviation, in normalised action units.

    Raises:
      ValueError: a negative standard deviation.
    """
    return per_world_noise(std, std)


def per_world_noise(min_std: float, max_std: float) -> Exploration:
    """Additive Gaussian noise whose scale differs from world to world and is redrawn with each episode (FastTD3).

    Args:
      min_std: smallest standard deviation, in normalised action units.
      max_std: largest standard deviation.

    Raises:
      ValueError: an empty or negative range.
    """
    if not 0 <= min_std <= max_std:
        raise ValueError(f"exploration noise needs 0 <= min <= max, not {min_std} and {max_std}")

    def draw_std(key: jax.Array, num_envs: int) -> jax.Array:
        return jax.random.uniform(key, (num_envs,), minval=min_std, maxval=max_std)

    def apply(std: jax.Array, draw: Draw, starts_episode: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_action, key_std, key_noise = jax.random.split(key, 3)
        action = draw(key_action)
        check_array("the exploration's scale", std, (action.shape[0],))
        check_array("starts_episode", starts_episode, std.shape, bool)
        noisy = action + std[:, None] * jax.random.normal(key_noise, action.shape)
        return jnp.clip(noisy, -1, 1), jnp.where(starts_episode, draw_std(key_std, len(std)), std)

    return Exploration(draw_std, apply, axes=("world",))


def repeated_noise(exponent: float, most: int) -> Exploration:
    """The policy's own samples, whose noise stays the same for n steps (FlashSAC). All worlds share n.

    The probability of n is proportional to ``n ** -exponent``, for n from 1 to ``most``.

    Args:
      exponent: exponent of the truncated zeta distribution of n.
      most: the largest n.

    Raises:
      ValueError: a negative exponent, or ``most`` below 1.
    """
    if exponent < 0 or most < 1:
        raise ValueError(f"repeated noise needs an exponent of at least 0 and at least 1 step, not {exponent} and {most}")
    log_probs = -exponent * jnp.log(jnp.arange(1, most + 1))

    def apply(
        state: tuple[jax.Array, jax.Array], draw: Draw, starts_episode: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        held, left = state
        key_action, key_count = jax.random.split(key)
        over = left == 0
        held = jnp.where(over, key_action, held)
        left = jnp.where(over, 1 + jax.random.categorical(key_count, log_probs), left) - 1
        return draw(held), (held, left)

    return Exploration(lambda key, num_envs: (key, jnp.zeros((), jnp.int32)), apply, axes=())

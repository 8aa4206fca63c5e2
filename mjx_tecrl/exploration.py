"""What is done to a policy's samples while experience is collected."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Exploration(NamedTuple):
    """Exploration beside the policy's own.

    Attributes:
      init: ``(key, num_envs) -> state``, leading axis ``[num_envs]`` in every leaf.
      apply: ``(state, action [num_envs, action_size], starts_episode [num_envs], key) -> (action, state)``.
    """

    init: Callable[[jax.Array, int], Any]
    apply: Callable[[Any, jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]]


def no_exploration() -> Exploration:
    """The policy's own samples."""
    return Exploration(lambda key, num_envs: (), lambda state, action, starts_episode, key: (action, state))


def gaussian_noise(std: float) -> Exploration:
    """Additive Gaussian noise, the same scale in every world (TD3).

    Args:
      std: standard deviation, in normalised action units.

    Raises:
      ValueError: a negative one.
    """
    return per_world_noise(std, std)


def per_world_noise(min_std: float, max_std: float) -> Exploration:
    """Additive Gaussian noise whose scale differs from world to world and is redrawn with each episode (FastTD3).

    Args:
      min_std: smallest standard deviation, in normalised action units.
      max_std: largest.

    Raises:
      ValueError: an empty or negative range.
    """
    if not 0 <= min_std <= max_std:
        raise ValueError(f"exploration noise needs 0 <= min <= max, not {min_std} and {max_std}")

    def draw(key: jax.Array, num_envs: int) -> jax.Array:
        return jax.random.uniform(key, (num_envs,), minval=min_std, maxval=max_std)

    def apply(std: jax.Array, action: jax.Array, starts_episode: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_std, key_noise = jax.random.split(key)
        noisy = action + std[:, None] * jax.random.normal(key_noise, action.shape)
        return jnp.clip(noisy, -1, 1), jnp.where(starts_episode, draw(key_std, len(std)), std)

    return Exploration(draw, apply)

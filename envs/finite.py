"""Which numbers count as finite, which worlds do, and how to choose between worlds without spreading a NaN."""

from typing import Any

import jax
import jax.numpy as jnp

from envs.base import State

LIMIT = 1e10
"""A number of larger magnitude counts as not finite. This is MuJoCo's own limit (``mjMAXVAL``); its square still fits a
float32."""


def within_limit(x: jax.Array) -> jax.Array:
    """Says of each element whether it is a number within `LIMIT`. NaN is not: a comparison with NaN is False."""
    return jnp.abs(x) <= LIMIT


def is_finite(worlds: State) -> jax.Array:
    """``[worlds]`` bool: every number that a world computed lies within `LIMIT`.

    Looks at physics, observation, reward and info, and only at floating-point arrays: counters and PRNG keys always pass.
    Metrics are not checked, since they feed nothing but logs.
    """
    n = worlds.reward.shape[0]
    leaves = jax.tree.leaves((worlds.physics, worlds.obs, worlds.reward, worlds.info))
    floats = [x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.stack([jnp.all(within_limit(x).reshape(n, -1), axis=1) for x in floats]).all(0)


def select(choose: jax.Array, if_true: Any, if_false: Any) -> Any:
    """Takes each world from one of two trees of the same structure.

    This selects and does not multiply by a mask, since NaN times zero is NaN.

    Args:
      choose: ``[worlds]`` bool.
      if_true: pytree of arrays ``[worlds, ...]``, used where ``choose`` is True.
      if_false: pytree of arrays ``[worlds, ...]``, used where it is False.
    """

    def leaf(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(choose.reshape(choose.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(leaf, if_true, if_false)

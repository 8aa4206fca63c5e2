"""dm_control's soft indicator function, from which it builds all its rewards."""

import math

import jax
import jax.numpy as jnp


def tolerance(
    x: jax.Array,
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: float = 0.0,
    sigmoid: str = "gaussian",
    value_at_margin: float = 0.1,
) -> jax.Array:
    """Is 1 where ``x`` lies within ``bounds``, ends included, and falls with the distance outside.

    Args:
      x: any shape.
      bounds: lower and upper end.
      margin: distance from the bounds at which the value is ``value_at_margin``. If it is 0, the value is 0 outside.
      sigmoid: how the value falls: gaussian, linear, long_tail or quadratic.
      value_at_margin: between 0 and 1. It may be 0 for linear and quadratic only.

    Returns:
      values in [0, 1] of the shape of ``x``.
    """
    lower, upper = bounds
    within = (lower <= x) & (x <= upper)
    if margin == 0:
        return jnp.where(within, 1.0, 0.0)
    distance = jnp.where(x < lower, lower - x, x - upper) / margin
    return jnp.where(within, 1.0, _SIGMOIDS[sigmoid](distance, value_at_margin))


def smallness(ctrl: jax.Array) -> jax.Array:
    """[] mean over the actuators: 1 for no control, 0 for full control. ``ctrl`` is ``[action_size]``."""
    return tolerance(ctrl, margin=1.0, sigmoid="quadratic", value_at_margin=0.0).mean()


def _gaussian(x: jax.Array, value_at_1: float) -> jax.Array:
    return jnp.exp(math.log(value_at_1) * x**2)


def _linear(x: jax.Array, value_at_1: float) -> jax.Array:
    return jnp.maximum(1 - (1 - value_at_1) * x, 0.0)


def _long_tail(x: jax.Array, value_at_1: float) -> jax.Array:
    return 1 / ((1 / value_at_1 - 1) * x**2 + 1)


def _quadratic(x: jax.Array, value_at_1: float) -> jax.Array:
    return jnp.maximum(1 - (1 - value_at_1) * x**2, 0.0)


_SIGMOIDS = {"gaussian": _gaussian, "linear": _linear, "long_tail": _long_tail, "quadratic": _quadratic}
"""How the value falls with the distance in margins, given the value at one margin."""

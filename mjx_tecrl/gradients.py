"""Gradients that say so when they mean nothing."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mjx_tecrl.types import Params


def all_finite(tree: Params) -> jax.Array:
    """[] bool: no NaN and no infinity in any array of ``tree``."""
    return jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]).all()


def is_finite(loss: jax.Array, gradient: Params, others: Any = ()) -> jax.Array:
    """[] bool: the loss, the norm of its gradient and all arrays in ``others`` are finite.

    Then the square of each of the gradient's numbers is finite, and so is what Adam makes of it from finite moments and
    parameters. A loss that overflowed may leave a finite gradient, and a clip by the norm makes a step of nothing from an
    infinite norm.
    """
    return all_finite((loss, optax.tree.norm(gradient), others))


def loss_and_gradient(loss: Callable[..., Any], has_aux: bool = False) -> Callable[..., Any]:
    """``jax.value_and_grad`` whose gradient is NaN, all of it, if it is not sound (`is_finite`).

    So that an agent which makes many steps need only look at what came of them.

    Args:
      loss: ``(params, ...) -> []``, or with ``has_aux`` ``-> ([], aux)``.
      has_aux: whether there is more than the loss.

    Returns:
      ``(params, ...) -> (value, gradient)``, ``value`` being all that ``loss`` returns.
    """

    def differentiate(*args: Any) -> tuple[Any, Params]:
        value, gradient = jax.value_and_grad(loss, has_aux=has_aux)(*args)
        finite = is_finite(value[0] if has_aux else value, gradient)
        return value, jax.tree.map(lambda x: jnp.where(finite, x, jnp.nan), gradient)

    return differentiate

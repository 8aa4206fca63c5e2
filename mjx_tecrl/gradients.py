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


def loss_and_gradient(loss: Callable[..., Any], has_aux: bool = False) -> Callable[..., Any]:
    """``jax.value_and_grad`` whose gradient is NaN, all of it, if the loss or the gradient's norm is not finite.

    So an agent need only look at what came of it. Otherwise a loss that overflowed could leave a finite gradient, and
    ``optax.clip_by_global_norm`` makes a step of nothing from a gradient whose norm overflows.

    Args:
      loss: ``(params, ...) -> []``, or with ``has_aux`` ``-> ([], aux)``.
      has_aux: whether there is more than the loss.

    Returns:
      ``(params, ...) -> (value, gradient)``, ``value`` being all that ``loss`` returns.
    """

    def differentiate(*args: Any) -> tuple[Any, Params]:
        value, gradient = jax.value_and_grad(loss, has_aux=has_aux)(*args)
        usable = jnp.isfinite(value[0] if has_aux else value) & jnp.isfinite(optax.tree.norm(gradient))
        return value, jax.tree.map(lambda x: jnp.where(usable, x, jnp.nan), gradient)

    return differentiate

"""Gradients, and whether they are finite."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mjx_tecrl.types import Params


def all_finite(tree: Params) -> jax.Array:
    """[] bool: no array of ``tree`` holds a NaN or an infinity."""
    return jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]).all()


def is_finite_step(loss: jax.Array, gradient: Params, others: Any = ()) -> jax.Array:
    """[] bool: the loss, the norm of its gradient and all arrays in ``others`` are finite.

    Then the square of each number of the gradient is finite too, and so is the step that Adam takes from finite moments and
    parameters. The gradient's own numbers are not enough: a loss that overflowed may have a finite gradient, and a clip by
    an infinite norm turns any gradient into 0.
    """
    # At once, a GPU needs one reduction, and not one or two for each array. A CPU would copy: 0.8 of the updates per second.
    return jax.lax.platform_dependent(loss, gradient, others, cpu=_is_finite_by_array, default=_is_finite_at_once)


def _is_finite_by_array(loss: jax.Array, gradient: Params, others: Any) -> jax.Array:
    return all_finite((loss, optax.tree.norm(gradient), others))


def _is_finite_at_once(loss: jax.Array, gradient: Params, others: Any) -> jax.Array:
    # 0 times a finite number is 0, however large it is, and 0 times another is NaN.
    rest = [0 * x for x in jax.tree.leaves((loss, others))]
    numbers = jnp.concatenate([x.ravel() for x in (*jax.tree.leaves(gradient), *rest)])
    return jnp.isfinite(jnp.sum(numbers * numbers))


def loss_and_gradient(loss: Callable[..., Any], has_aux: bool = False) -> Callable[..., Any]:
    """``jax.value_and_grad`` that returns a gradient of NaN, all of it, unless the step is finite (`is_finite_step`).

    An agent that takes many steps then need only check the parameters at the end.

    Args:
      loss: ``(params, ...) -> []``, or with ``has_aux`` ``-> ([], aux)``.
      has_aux: whether ``loss`` returns more than the loss.

    Returns:
      ``(params, ...) -> (value, gradient)``, where ``value`` is all that ``loss`` returns.
    """

    def differentiate(*args: Any) -> tuple[Any, Params]:
        value, gradient = jax.value_and_grad(loss, has_aux=has_aux)(*args)
        finite = is_finite_step(value[0] if has_aux else value, gradient)
        return value, jax.tree.map(lambda x: jnp.where(finite, x, jnp.nan), gradient)

    return differentiate

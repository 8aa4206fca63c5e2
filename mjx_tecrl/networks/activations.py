"""Activation functions."""

from collections.abc import Callable

import flax.linen as nn
import jax

from mjx_tecrl.distributions import normal


@jax.custom_jvp
def gelu(x: jax.Array) -> jax.Array:
    """The Gaussian error linear unit ``x Phi(x)``, the exact one (arXiv 1606.08415).

    ``jax.nn.gelu`` computes it from the complementary error function. That costs three times as much, is no more precise
    within the rounding of the result's largest summand, and is computed again for the derivative.
    """
    return x * normal.cdf(x)


@gelu.defjvp
def _gelu_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    cdf = normal.cdf(x)
    return x * cdf, (cdf + x * normal.pdf(x)) * tangent


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": gelu,
    "relu": nn.relu,
    "silu": nn.silu,
    "tanh": nn.tanh,
}
"""Activation functions by their name in a config."""

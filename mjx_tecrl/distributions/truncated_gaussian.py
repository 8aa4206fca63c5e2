"""The Gaussian distribution truncated to [-1, 1], fully reparameterised, as in ERA's public code."""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from mjx_tecrl.distributions import normal

EDGE = 1e-6
"""Means, uniform numbers and samples keep this distance from their limits: there the inverse CDF has no finite gradient."""


def _limits(loc: jax.Array, std: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The standardised limits a and b, and the probability mass Z between them, which is at least `EDGE`."""
    a, b = (-1 - loc) / std, (1 - loc) / std
    return a, b, jnp.maximum(norm.cdf(b) - norm.cdf(a), EDGE)


def sample(loc: jax.Array, std: jax.Array, key: jax.Array) -> jax.Array:
    """Draws by inversion of the CDF, differentiable in ``loc`` and ``std``. All three arrays have one shape."""
    a, _, mass = _limits(loc, std)
    u = norm.cdf(a) + mass * jax.random.uniform(key, loc.shape)
    u = jnp.clip(u, EDGE, 1 - EDGE)
    x = loc + std * jnp.sqrt(2.0) * jax.scipy.special.erfinv(2 * u - 1)
    return jnp.clip(x, -1 + EDGE, 1 - EDGE)


def log_prob(x: jax.Array, loc: jax.Array, std: jax.Array) -> jax.Array:
    """Elementwise log-density at ``x`` in [-1, 1]."""
    _, _, mass = _limits(loc, std)
    return norm.logpdf(x, loc, std) - jnp.log(mass)


def entropy(loc: jax.Array, std: jax.Array) -> jax.Array:
    """Elementwise differential entropy (ERA Eq. 5), nats."""
    a, b, mass = _limits(loc, std)
    gaussian = normal.ENTROPY + jnp.log(std)
    return gaussian + jnp.log(mass) + (a * norm.pdf(a) - b * norm.pdf(b)) / (2 * mass)


def kl(loc: jax.Array, std: jax.Array, other_loc: jax.Array, other_std: jax.Array) -> jax.Array:
    """Elementwise divergence KL(p || q) of p with ``loc`` and ``std`` from q with the others, nats.

    It is the expectation of log p - log q, a polynomial of second degree, and so follows from the first two moments of p.
    """
    a, b, mass = _limits(loc, std)
    *_, other_mass = _limits(other_loc, other_std)
    mean_shift = std * (norm.pdf(a) - norm.pdf(b)) / mass
    square = std**2 * (1 + (a * norm.pdf(a) - b * norm.pdf(b)) / mass)
    gap = loc - other_loc
    other_square = square + 2 * gap * mean_shift + gap**2
    scales = jnp.log(other_std) + jnp.log(other_mass) - jnp.log(std) - jnp.log(mass)
    return scales + other_square / (2 * other_std**2) - square / (2 * std**2)

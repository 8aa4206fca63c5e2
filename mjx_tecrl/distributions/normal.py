"""The normal distribution."""

import math

import jax
import jax.numpy as jnp

LOG_2PI = math.log(2 * math.pi)
ENTROPY = 0.5 * (1 + LOG_2PI)
"""Entropy of the standard normal distribution, ``log sqrt(2 pi e)`` = 1.4189 nats."""


def log_prob(z: jax.Array, log_std: jax.Array) -> jax.Array:
    """Elementwise log-density of ``mean + exp(log_std) z``, given the standardised ``z``."""
    return -0.5 * z**2 - log_std - 0.5 * LOG_2PI


def kl(mean: jax.Array, log_std: jax.Array, other_mean: jax.Array, other_log_std: jax.Array) -> jax.Array:
    """Elementwise divergence KL(p || q) of p with ``mean`` and ``log_std`` from q with the others, nats."""
    ratio = jnp.exp(2 * (log_std - other_log_std))
    square = ((mean - other_mean) * jnp.exp(-other_log_std)) ** 2
    return other_log_std - log_std + 0.5 * (ratio + square - 1)


def pdf(x: jax.Array) -> jax.Array:
    """Density of the standard normal distribution."""
    return jnp.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


def cdf(x: jax.Array) -> jax.Array:
    """Cumulative distribution function of the standard normal distribution, with a small absolute error.

    It costs a third of ``jax.scipy.stats.norm.cdf``, but loses all relative precision in the lower tail. Who divides by a
    difference of two values or takes a logarithm needs JAX's function: `truncated_gaussian` uses that.
    """
    return 0.5 * (1 + jax.lax.erf(x * math.sqrt(0.5)))

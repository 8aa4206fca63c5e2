"""Activation functions."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from mjx_tecrl.networks.activations import gelu
from tests.mjx_tecrl.reference import f64


def test_gelu_and_its_derivative_are_the_exact_ones() -> None:
    x = np.linspace(-12, 12, 4001, dtype=np.float32)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(gelu)))(x)
    cdf = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in f64(x)])
    pdf = np.exp(-0.5 * f64(x) ** 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(value, x * cdf, rtol=5e-7, atol=1e-6)
    np.testing.assert_allclose(slope, cdf + x * pdf, rtol=5e-7, atol=1e-6)
    ends = jax.vmap(jax.value_and_grad(gelu))(jnp.array([-1e30, 1e30, -jnp.inf, jnp.inf]))
    np.testing.assert_array_equal(ends[0][:2], np.float32([0, 1e30]))
    np.testing.assert_array_equal(ends[1][:2], [0, 1])
    assert not np.isfinite(ends[0][3])

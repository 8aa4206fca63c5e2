"""The density of a squashed Gaussian, against brute force in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl.distributions import tanh_gaussian
from tests.mjx_tecrl.reference import f64, tanh_gaussian_log_prob


@pytest.mark.parametrize("mean", [-3.0, 0.0, 0.4, 2.0])
@pytest.mark.parametrize("std", [1.6, 0.3, 0.01, 1e-4])
def test_density_integrates_to_one_over_actions(mean: float, std: float) -> None:
    z = np.linspace(-9, 9, 20_001)
    action = np.tanh(mean + std * z)
    args = (jnp.float32(z)[:, None], jnp.float32([mean]), jnp.log(jnp.float32([std])))
    density = np.exp(f64(tanh_gaussian.log_prob(*args)))
    assert np.trapezoid(density, action) == pytest.approx(1, abs=2e-4)


def test_log_prob_equals_brute_force() -> None:
    rng = np.random.default_rng(0)
    z, mean = rng.normal(size=(1000, 4)), rng.uniform(-6, 6, size=(1000, 4))
    log_std = rng.uniform(-20, 0.5, size=(1000, 4))
    z, mean, log_std = (x.astype(np.float32) for x in (z, mean, log_std))
    expected = tanh_gaussian_log_prob(f64(z), f64(mean), f64(log_std)).sum(-1)
    np.testing.assert_allclose(tanh_gaussian.log_prob(z, mean, log_std), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("mean", [-50.0, 0.0, 50.0])
@pytest.mark.parametrize("log_std", [-20.0, 0.5])
def test_gradients_are_right_at_the_extremes(mean: float, log_std: float) -> None:
    # With the action reparameterised: d/dmean = 2 tanh(u), d/dlog_std = -1 + 2 tanh(u) std z.
    z = 1.7
    log_prob = lambda mean, log_std: tanh_gaussian.log_prob(jnp.float32([z]), mean[None], log_std[None])  # noqa: E731
    gradient = jax.grad(log_prob, (0, 1))(jnp.float32(mean), jnp.float32(log_std))
    slope = 2 * np.tanh(mean + np.exp(log_std) * z)
    np.testing.assert_allclose(gradient, (slope, -1 + slope * np.exp(log_std) * z), rtol=1e-5, atol=1e-6)

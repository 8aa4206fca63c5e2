"""The truncated Gaussian, against scipy in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mjx_tecrl.distributions import truncated_gaussian as tg

EDGE_LOC = 1 - 1e-6
draw, log_density, entropy = jax.jit(tg.sample), jax.jit(tg.log_prob), jax.jit(tg.entropy)
CASES = [
    (0.0, 1.0),
    (0.3, 0.3),
    (-0.7, 0.05),
    (0.9, 0.5),
    (-0.99, np.exp(-2)),
    (0.5, np.exp(-8)),
    (EDGE_LOC, 1.0),
    (-EDGE_LOC, 1.0),
    (EDGE_LOC, np.exp(-8)),
    (-EDGE_LOC, np.exp(-8)),
]


def rounded(loc: float, std: float) -> tuple[float, float]:
    """The float32 neighbours, which is what the library sees."""
    return float(np.float32(loc)), float(np.float32(std))


def scipy_law(loc: float, std: float) -> scipy.stats.rv_continuous:
    return scipy.stats.truncnorm((-1 - loc) / std, (1 - loc) / std, loc=loc, scale=std)


def grid(loc: float, std: float) -> np.ndarray:
    """Points of [-1, 1] dense enough for quadrature, each exactly a float32."""
    x = np.linspace(max(-1.0, loc - 8 * std), min(1.0, loc + 8 * std), 8001)
    return x.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(("loc", "std"), CASES)
def test_density(loc: float, std: float) -> None:
    loc, std = rounded(loc, std)
    x = grid(loc, std)
    log_prob = np.asarray(log_density(jnp.float32(x), jnp.float32(loc), jnp.float32(std)), np.float64)
    assert np.trapezoid(np.exp(log_prob), x) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(log_prob, scipy_law(loc, std).logpdf(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("loc", "std"), CASES)
def test_entropy_is_that_of_the_density(loc: float, std: float) -> None:
    loc, std = rounded(loc, std)
    x = grid(loc, std)
    log_prob = scipy_law(loc, std).logpdf(x)
    expected = -np.trapezoid(np.exp(log_prob) * log_prob, x)
    assert float(entropy(jnp.float32(loc), jnp.float32(std))) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("loc", "std"), CASES)
def test_samples_follow_the_law(loc: float, std: float) -> None:
    loc, std = rounded(loc, std)
    x = np.asarray(draw(jnp.full(20_000, loc), jnp.full(20_000, std), jax.random.key(1)), np.float64)
    assert np.abs(x).max() <= 1
    assert scipy.stats.kstest(x, scipy_law(loc, std).cdf).pvalue > 1e-3


@jax.jit
@functools.partial(jax.grad, argnums=(0, 1))
def mean_gradient(loc: jax.Array, std: jax.Array) -> jax.Array:
    n = 200_000
    return tg.sample(jnp.full(n, loc), jnp.full(n, std), jax.random.key(2)).mean()


@pytest.mark.parametrize(("loc", "std"), [(0.0, 1.0), (0.8, 0.4), (-0.9, 0.1), (EDGE_LOC, 0.7)])
def test_gradient_of_samples_is_that_of_their_mean(loc: float, std: float) -> None:
    gradient = mean_gradient(jnp.float32(loc), jnp.float32(std))
    step = 1e-5
    expected = (
        (scipy_law(loc + step, std).mean() - scipy_law(loc - step, std).mean()) / (2 * step),
        (scipy_law(loc, std + step).mean() - scipy_law(loc, std - step).mean()) / (2 * step),
    )
    np.testing.assert_allclose(gradient, expected, atol=0.01)


def test_extremes_stay_finite_and_inside() -> None:
    locs = jnp.array([-EDGE_LOC, -0.999, -0.5, 0.0, 0.5, 0.999, EDGE_LOC])
    log_stds = jnp.array([-8.0, -6.0, -3.0, -1.0, 0.0])
    loc, log_std = (x.ravel() for x in jnp.meshgrid(locs, log_stds))

    def one(loc: jax.Array, log_std: jax.Array, key: jax.Array) -> jax.Array:
        std = jnp.exp(log_std)
        action = tg.sample(loc, std, key)
        return jnp.stack([action, tg.log_prob(action, loc, std), tg.entropy(loc, std)])

    def outputs(key: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        keys = jax.random.split(key, len(loc))
        return jax.vmap(one)(loc, log_std, keys), jax.vmap(jax.jacobian(one, (0, 1)))(loc, log_std, keys)

    values, gradients = jax.jit(jax.vmap(outputs))(jax.random.split(jax.random.key(3), 500))
    assert np.abs(values[..., 0]).max() <= 1
    assert np.isfinite(values).all()
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize(("loc", "std"), [(0.0, 1.0), (0.9, 0.5), (-0.3, 0.05)])
@pytest.mark.parametrize(("other_loc", "other_std"), [(0.1, 0.8), (-0.95, 0.6)])
def test_divergence_equals_quadrature(loc: float, std: float, other_loc: float, other_std: float) -> None:
    p = scipy.stats.truncnorm((-1 - loc) / std, (1 - loc) / std, loc=loc, scale=std)
    q = scipy.stats.truncnorm((-1 - other_loc) / other_std, (1 - other_loc) / other_std, loc=other_loc, scale=other_std)
    x = np.linspace(-1, 1, 20_001)
    expected = np.trapezoid(p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), x)
    args = (jnp.float32(v) for v in (loc, std, other_loc, other_std))
    assert float(tg.kl(*args)) == pytest.approx(expected, rel=2e-3, abs=1e-4)

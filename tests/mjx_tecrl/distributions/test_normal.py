"""The normal distribution, against scipy in float64."""

import jax
import numpy as np
import scipy.stats

from mjx_tecrl.distributions import normal

X = np.linspace(-6, 6, 241, dtype=np.float32)


def test_density_and_distribution_function() -> None:
    np.testing.assert_allclose(jax.jit(normal.pdf)(X), scipy.stats.norm.pdf(np.float64(X)), rtol=1e-5)
    np.testing.assert_allclose(jax.jit(normal.cdf)(X), scipy.stats.norm.cdf(np.float64(X)), atol=2e-7)


def test_log_density_entropy_and_divergence() -> None:
    law, other = scipy.stats.norm(0.3, np.exp(-0.7)), scipy.stats.norm(-0.2, np.exp(0.4))
    log_prob = jax.jit(normal.log_prob)(X, np.float32(-0.7))
    np.testing.assert_allclose(log_prob, law.logpdf(0.3 + np.exp(-0.7) * np.float64(X)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(normal.ENTROPY - 0.7, law.entropy(), rtol=1e-12)
    kl = law.expect(lambda x: law.logpdf(x) - other.logpdf(x))
    np.testing.assert_allclose(normal.kl(*np.float32([0.3, -0.7, -0.2, 0.4])), kl, rtol=1e-5)
    assert float(normal.kl(*np.float32([0.3, -0.7, 0.3, -0.7]))) == 0

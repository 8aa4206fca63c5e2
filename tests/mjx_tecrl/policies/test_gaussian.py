"""The Gaussian head of on-policy agents."""

import jax
import numpy as np
import pytest
import scipy.stats

from mjx_tecrl import Spec
from mjx_tecrl.networks import mlp
from mjx_tecrl.policies import gaussian
from tests.mjx_tecrl import reference
from tests.mjx_tecrl.reference import f64

SPEC = Spec(obs_size=3, action_size=2)
MEAN = mlp((8,), "tanh", output_std=0.01)


def test_densities_entropies_and_divergences_are_those_of_the_formulas() -> None:
    policy = gaussian(SPEC, mlp((8,), "tanh"), init_log_std=-0.5)
    old, new = (jax.jit(policy.init)(jax.random.key(seed)) for seed in (0, 1))
    new["log_std"] = np.float32([-1.0, 0.3])
    obs = jax.random.normal(jax.random.key(1), (64, 3))
    sample = jax.jit(policy.sample)(old, obs, jax.random.key(2))
    mean, std = reference.mlp(old["mean"], obs, np.tanh)[1], np.exp(-0.5)
    np.testing.assert_allclose(sample.std, std, rtol=1e-5)
    law = scipy.stats.norm(mean, std)
    log_prob = law.logpdf(f64(sample.action)).sum(-1)
    np.testing.assert_allclose(sample.log_prob, log_prob, rtol=1e-4, atol=1e-4)
    assert policy.evaluate is not None
    assert policy.kl is not None
    now = jax.jit(policy.evaluate)(old, obs, sample.action)
    np.testing.assert_allclose(now.log_prob, log_prob, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(now.entropy, law.entropy().sum(-1), rtol=1e-5)
    np.testing.assert_allclose(now.std, sample.std)

    other_mean, other_std = reference.mlp(new["mean"], obs, np.tanh)[1], np.exp([-1.0, 0.3])
    kl = np.log(other_std / std) + (std**2 + (mean - other_mean) ** 2) / (2 * other_std**2) - 0.5
    np.testing.assert_allclose(policy.kl(old, new, obs), kl.sum(-1), rtol=1e-4)
    np.testing.assert_array_equal(policy.kl(old, old, obs), 0)


def test_the_deterministic_action_is_the_clipped_mean_and_samples_are_not_clipped() -> None:
    policy = gaussian(SPEC, MEAN)
    params = jax.jit(policy.init)(jax.random.key(0))
    obs = np.ones((256, 3), np.float32)
    assert np.abs(policy.mode(params, obs)).max() < 0.5
    params["mean"]["params"]["Dense_1"]["bias"] = np.float32([3, -3])
    np.testing.assert_array_equal(policy.mode(params, obs)[0], [1, -1])
    assert np.abs(policy.sample(params, obs, jax.random.key(0)).action).max() > 4
    # The policy ignores what only a critic sees.
    np.testing.assert_array_equal(policy.mode(params, np.pad(obs, ((0, 0), (0, 2)))), policy.mode(params, obs))


def test_the_entropy_does_not_depend_on_the_observation() -> None:
    policy = gaussian(SPEC, MEAN, init_log_std=0.25)
    params = jax.jit(policy.init)(jax.random.key(0))
    assert policy.evaluate is not None
    entropy = policy.evaluate(params, jax.random.normal(jax.random.key(1), (5, 3)), np.zeros((5, 2), np.float32)).entropy
    np.testing.assert_allclose(entropy, 2 * (0.25 + 0.5 * np.log(2 * np.pi * np.e)), rtol=1e-5)
    assert float(entropy[0]) == pytest.approx(float(entropy[1]))

"""The ERA head: a truncated Gaussian whose underlying entropy is fixed."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mjx_tecrl import Spec
from mjx_tecrl.networks import mlp
from mjx_tecrl.policies import ActionSample, era_gaussian
from tests.mjx_tecrl import reference
from tests.mjx_tecrl.reference import f64, last_layer, relu, softmax

SPEC = Spec(obs_size=3, action_size=4)
ENTROPY = 0.5 * np.log(2 * np.pi * np.e)


def test_sample_is_the_distribution_of_the_formulas() -> None:
    policy = era_gaussian(SPEC, mlp((8,), "relu"), entropy_per_dim=0.25)
    params = jax.jit(policy.init)(jax.random.key(0))
    obs = jax.random.normal(jax.random.key(1), (64, 3))
    sample = jax.jit(policy.sample)(params, obs, jax.random.key(2))
    raw_loc, raw_std = np.split(reference.mlp(params, obs, relu)[1], 2, axis=-1)
    loc, std = np.tanh(raw_loc), np.exp(-4 * (0 - 0.25 + ENTROPY) * softmax(raw_std))
    np.testing.assert_allclose(sample.std, std, rtol=1e-4)
    np.testing.assert_allclose((np.log(f64(sample.std)) + ENTROPY).sum(-1), 4 * 0.25, atol=1e-4)
    np.testing.assert_allclose(policy.mode(params, obs), loc, atol=1e-5)
    law = scipy.stats.truncnorm((-1 - loc) / std, (1 - loc) / std, loc=loc, scale=std)
    np.testing.assert_allclose(sample.log_prob, law.logpdf(f64(sample.action)).sum(-1), rtol=1e-3, atol=2e-3)


def test_extreme_outputs_keep_samples_inside_and_gradients_finite() -> None:
    policy = era_gaussian(SPEC, mlp((8,), "relu"))
    params = jax.jit(policy.init)(jax.random.key(0))
    obs = jnp.ones((100, 3))

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(params: Any) -> tuple[jax.Array, ActionSample]:
        sample = policy.sample(params, obs, jax.random.key(2))
        return sample.action.sum() + sample.log_prob.sum(), sample

    for raw in (-1e4, 1e4):
        last_layer(params)["bias"] = jnp.float32([raw, -raw, raw, raw, raw, 0, 0, 0])
        (value, sample), gradient = loss(params)
        assert np.isfinite(value)
        assert np.abs(sample.action).max() <= 1
        assert np.abs(policy.mode(params, obs)).max() < 1
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))


def test_output_std_sets_the_initial_output_layer() -> None:
    wide = last_layer(jax.jit(era_gaussian(SPEC, mlp((512,), "relu", output_std=0.01)).init)(jax.random.key(0)))
    assert np.std(wide["kernel"]) == pytest.approx(0.01, rel=0.1)
    assert not np.any(wide["bias"])


def test_a_floor_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be reached with log_std"):
        era_gaussian(SPEC, mlp((8,), "relu"), entropy_per_dim=1.5)


def test_given_actions_are_evaluated_by_the_same_distribution() -> None:
    policy = era_gaussian(SPEC, mlp((8,), "tanh"), entropy_per_dim=0.25)
    assert policy.evaluate is not None
    assert policy.kl is not None
    params, other = (jax.jit(policy.init)(jax.random.key(seed)) for seed in (0, 3))
    obs = jax.random.normal(jax.random.key(1), (64, 3))
    sample = jax.jit(policy.sample)(params, obs, jax.random.key(2))
    now = jax.jit(policy.evaluate)(params, obs, sample.action)
    np.testing.assert_allclose(now.log_prob, sample.log_prob, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(now.std, sample.std, rtol=1e-5)
    raw_loc, raw_std = np.split(reference.mlp(params, obs, np.tanh)[1], 2, axis=-1)
    loc, std = np.tanh(raw_loc), np.exp(-4 * (0 - 0.25 + ENTROPY) * softmax(raw_std))
    law = scipy.stats.truncnorm((-1 - loc) / std, (1 - loc) / std, loc=loc, scale=std)
    np.testing.assert_allclose(now.entropy, law.entropy().sum(-1), rtol=1e-3, atol=2e-3)
    kl = policy.kl(params, other, obs)
    assert (np.asarray(kl) > 0).all()
    np.testing.assert_allclose(policy.kl(params, params, obs), 0, atol=1e-5)

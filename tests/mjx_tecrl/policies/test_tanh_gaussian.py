"""The tanh-Gaussian head, against brute force in float64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import Spec
from mjx_tecrl.networks import mlp
from mjx_tecrl.policies import tanh_gaussian
from tests.mjx_tecrl import reference
from tests.mjx_tecrl.reference import f64, gelu, last_layer, tanh_gaussian_log_prob

SPEC = Spec(obs_size=3, action_size=2)


def test_samples_report_their_own_density() -> None:
    policy = tanh_gaussian(SPEC, mlp((8,)))
    params = jax.jit(policy.init)(jax.random.key(0))
    obs = jax.random.normal(jax.random.key(1), (64, 3))
    sample = jax.jit(policy.sample)(params, obs, jax.random.key(2))
    mean, log_std = np.split(reference.mlp(params, obs, gelu)[1], 2, axis=-1)
    log_std = np.minimum(log_std, 0.5)
    u = np.arctanh(f64(sample.action))
    expected = tanh_gaussian_log_prob((u - mean) / np.exp(log_std), mean, log_std).sum(-1)
    np.testing.assert_allclose(sample.log_prob, expected, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(sample.std, np.exp(log_std), rtol=1e-5)
    np.testing.assert_allclose(policy.mode(params, obs), np.tanh(mean), atol=1e-6)


def test_log_std_is_clipped_hard() -> None:
    policy = tanh_gaussian(SPEC, mlp((8,)))
    params = jax.tree.map(jnp.zeros_like, jax.jit(policy.init)(jax.random.key(0)))
    sample = jax.jit(policy.sample)
    for raw, log_std in [(1e4, 0.5), (-1e4, -20.0), (0.3, 0.3)]:
        last_layer(params)["bias"] = jnp.float32([0, 0, raw, raw])
        drawn = sample(params, jnp.ones((4, 3)), jax.random.key(2))
        np.testing.assert_allclose(drawn.std, np.full((4, 2), np.exp(log_std)), rtol=1e-5)
        assert np.isfinite(drawn.log_prob).all()


def test_a_tanh_keeps_the_log_std_within_its_limits_and_its_gradient() -> None:
    policy = tanh_gaussian(SPEC, mlp((8,)), (-10.0, 2.0), "tanh")
    params = jax.tree.map(jnp.zeros_like, jax.jit(policy.init)(jax.random.key(0)))
    for raw, log_std in [(1e4, 2.0), (-1e4, -10.0), (0.0, -4.0), (0.5, -4 + 6 * np.tanh(0.5))]:
        last_layer(params)["bias"] = jnp.float32([0, 0, raw, raw])
        drawn = policy.sample(params, jnp.ones((4, 3)), jax.random.key(2))
        np.testing.assert_allclose(drawn.std, np.full((4, 2), np.exp(log_std)), rtol=1e-5)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"log_std_range": (2.0, -10.0)}, "log_std_range must be an increasing pair"),
        ({"log_std_limit": "sigmoid"}, 'log_std_limit must be "clip" or "tanh", not \'sigmoid\''),
    ],
)
def test_bad_choices_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tanh_gaussian(SPEC, mlp((8,)), **choices)

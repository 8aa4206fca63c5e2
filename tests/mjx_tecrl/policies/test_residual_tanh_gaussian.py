"""FlashSAC's policy head, against plain numpy in float64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import Batch, Spec
from mjx_tecrl.policies import residual_tanh_gaussian
from mjx_tecrl.policies.tanh_gaussian import sample_tanh_gaussian
from tests.mjx_tecrl.reference import residual

SPEC = Spec(obs_size=3, action_size=2, privileged_size=1)
POLICY = residual_tanh_gaussian(SPEC, 1, 4)
KEY = jax.random.key(1)
WEIGHT = np.float32([1, 1, 0, 1, 1])


def parameters(output: np.ndarray) -> tuple[Any, Any]:
    mean, raw = np.split(output, 2, axis=-1)
    return jnp.float32(mean), jnp.float32(-10 + 6 * (1 + np.tanh(raw)))


def start() -> tuple[Any, Batch]:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    params = jax.jit(POLICY.init)(jax.random.key(0))
    params = POLICY.settle(params, jax.tree.map(lambda x: x + 0.3, params["batch_stats"]))
    return params, Batch(draw(5, 4), draw(5, 2), draw(5), draw(5), 2 + draw(5, 4), WEIGHT)


def assert_close(sample: Any, expected: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), sample, expected)


def test_actions_are_drawn_by_running_statistics() -> None:
    params, batch = start()
    mean, log_std = parameters(residual(params, batch.obs[:, :3]))
    assert_close(jax.jit(POLICY.sample)(params, batch.obs, KEY), sample_tanh_gaussian(mean, log_std, KEY))
    assert_close(jax.jit(POLICY.mode)(params, batch.obs), jnp.tanh(mean))


def test_its_loss_sees_both_ends_of_the_transitions() -> None:
    params, batch = start()
    obs = np.concatenate([batch.obs, batch.next_obs])[:, :3]
    mean, log_std = parameters(residual(params, obs, np.tile(WEIGHT, 2))[:5])
    assert POLICY.sample_in_training is not None
    sample, statistics = jax.jit(POLICY.sample_in_training)(params, batch, KEY)
    assert_close(sample, sample_tanh_gaussian(mean, log_std, KEY))
    first = POLICY.settle(params, statistics)["batch_stats"]["BatchNorm_0"]["mean"]
    seen = obs[np.tile(WEIGHT, 2) > 0].mean(0)
    np.testing.assert_allclose(first, 0.99 * 0.3 + 0.01 * seen, rtol=1e-4)


def test_empty_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="log_std_range must be an increasing pair"):
        residual_tanh_gaussian(SPEC, 1, 4, log_std_range=(2.0, -10.0))

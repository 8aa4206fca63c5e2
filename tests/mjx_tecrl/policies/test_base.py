"""Policies on a network with batch statistics, against plain numpy in float64, and what every policy refuses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import Batch, Spec
from mjx_tecrl.distributions import tanh_gaussian as distribution
from mjx_tecrl.networks import mlp, residual
from mjx_tecrl.policies import ActionSample, gaussian, tanh_gaussian
from tests.mjx_tecrl import reference

SPEC = Spec(obs_size=3, action_size=2, privileged_size=1)
POLICY = tanh_gaussian(SPEC, residual(1, 4), (-10.0, 2.0), "tanh")
KEY = jax.random.key(1)
WEIGHT = np.float32([1, 1, 0, 1, 1])


def parameters(output: np.ndarray) -> tuple[Any, Any]:
    mean, raw = np.split(output, 2, axis=-1)
    return jnp.float32(mean), jnp.float32(-10 + 6 * (1 + np.tanh(raw)))


def expected_sample(mean: Any, log_std: Any) -> Any:
    z = jax.random.normal(KEY, mean.shape)
    action = jnp.tanh(mean + jnp.exp(log_std) * z)
    return ActionSample(action, distribution.log_prob(z, mean, log_std), jnp.exp(log_std))


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
    mean, log_std = parameters(reference.residual(params, batch.obs[:, :3]))
    assert_close(jax.jit(POLICY.sample)(params, batch.obs, KEY), expected_sample(mean, log_std))
    assert_close(jax.jit(POLICY.mode)(params, batch.obs), jnp.tanh(mean))


def test_its_loss_sees_both_ends_of_the_transitions() -> None:
    params, batch = start()
    obs = np.concatenate([batch.obs, batch.next_obs])[:, :3]
    mean, log_std = parameters(reference.residual(params, obs, np.tile(WEIGHT, 2))[:5])
    sample, statistics = jax.jit(POLICY.sample_in_training)(params, batch, KEY)
    assert_close(sample, expected_sample(mean, log_std))
    first = POLICY.settle(params, statistics)["batch_stats"]["BatchNorm_0"]["mean"]
    seen = obs[np.tile(WEIGHT, 2) > 0].mean(0)
    np.testing.assert_allclose(first, 0.99 * 0.3 + 0.01 * seen, rtol=1e-4)


@pytest.mark.parametrize(
    ("obs", "error", "message"),
    [
        (np.zeros((5, 2), np.float32), ValueError, "obs must be at least 3 wide for the policy, not 2"),
        (np.zeros((5, 3)), TypeError, "obs must hold float32, not float64"),
        (np.zeros((5, 3), int), TypeError, "obs must hold float32, not int64"),
        ([[0.0] * 3], TypeError, "obs must be an array of float32, not list"),
    ],
)
def test_observations_that_would_be_cast_or_are_too_narrow_are_refused(
    obs: Any, error: type[Exception], message: str
) -> None:
    params, _ = start()
    with pytest.raises(error, match=message):
        POLICY.mode(params, obs)
    with pytest.raises(error, match=message):
        POLICY.sample(params, obs, KEY)


def test_given_actions_that_would_be_broadcast_are_refused() -> None:
    policy = gaussian(SPEC, mlp((4,)))
    assert policy.evaluate is not None
    params = policy.init(KEY)
    with pytest.raises(ValueError, match=r"action must have the shape \[5, 2\], not \[1, 2\]"):
        policy.evaluate(params, jnp.zeros((5, 3)), jnp.zeros((1, 2)))

"""TRPO's step: it keeps the bound, improves the surrogate, and follows the natural gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import Spec
from mjx_tecrl.networks import mlp
from mjx_tecrl.objectives import trust_region
from mjx_tecrl.objectives.trust_region import conjugate_gradient
from mjx_tecrl.policies import Policy, era_gaussian, gaussian, tanh_gaussian
from mjx_tecrl.types import Transitions

SPEC = Spec(obs_size=3, action_size=2)
MAX_KL = 0.01


def toy(policy: Policy, params: Any, valid: np.ndarray | None = None) -> Transitions:
    """Actions of the policy, with an advantage that pushes the first number up and the second down."""
    obs = jax.random.normal(jax.random.key(1), (256, 3))
    sample = policy.sample(params, obs, jax.random.key(2))
    advantage = sample.action[:, 0] - sample.action[:, 1] + 0.1 * jax.random.normal(jax.random.key(3), (256,))
    advantage = (advantage - advantage.mean()) / advantage.std()
    valid = np.ones(256, bool) if valid is None else valid
    return Transitions(obs, sample.action, sample.log_prob, advantage, advantage[:, None], jnp.asarray(valid))


def heads() -> dict[str, Policy]:
    return {
        "gaussian": gaussian(SPEC, mlp((16,), "tanh", output_std=0.01)),
        "era_gaussian": era_gaussian(SPEC, mlp((16,), "tanh"), entropy_per_dim=-1.0),
    }


def divergence(policy: Policy, old: Any, new: Any, samples: Transitions) -> float:
    assert policy.kl is not None
    return float(samples.mean(policy.kl(old, new, samples.obs)))


@pytest.mark.parametrize("name", ["gaussian", "era_gaussian"])
def test_the_step_improves_within_the_bound(name: str) -> None:
    policy = heads()[name]
    assert policy.evaluate is not None
    objective = trust_region(policy, MAX_KL)
    params = jax.jit(policy.init)(jax.random.key(0))
    samples = toy(policy, params)
    new, state, metrics = jax.jit(objective.rollout_step)(params, objective.init(params), samples)
    assert state == ()
    assert float(metrics["line_search_failed"]) == 0
    reached = divergence(policy, params, new, samples)
    assert 0.3 * MAX_KL < reached <= MAX_KL
    ratio = jnp.exp(policy.evaluate(new, samples.obs, samples.action).log_prob - samples.log_prob)
    gain = float(samples.mean((ratio - 1) * samples.advantage))
    assert gain > 0.05
    assert float(metrics["surrogate_gain"]) == pytest.approx(gain, rel=1e-2)


def test_the_line_search_keeps_the_bound_where_the_quadratic_is_wrong() -> None:
    # A bound so wide that the divergence is far from quadratic.
    policy = heads()["gaussian"]
    objective = trust_region(policy, 3.0, damping=0.0)
    params = jax.jit(policy.init)(jax.random.key(0))
    samples = toy(policy, params)
    new, _, metrics = jax.jit(objective.rollout_step)(params, (), samples)
    assert float(metrics["backtracks"]) > 0
    assert divergence(policy, params, new, samples) <= 3.0
    # If only the first length is tried, the policy stays.
    hasty = trust_region(policy, 3.0, damping=0.0, backtracks=1)
    same, _, metrics = jax.jit(hasty.rollout_step)(params, (), samples)
    assert float(metrics["line_search_failed"]) == 1
    jax.tree.map(np.testing.assert_array_equal, same, params)


def test_the_direction_is_the_natural_gradient() -> None:
    # One Gaussian without a network: the Fisher matrix of (mean, log_std) is diag(1 / std^2, 2).
    spec = Spec(obs_size=1, action_size=1)
    policy = gaussian(spec, mlp(()))
    params = {
        "mean": {"params": {"Dense_0": {"kernel": jnp.zeros((1, 1)), "bias": jnp.zeros(1)}}},
        "log_std": jnp.float32([-1.0]),
    }
    obs = jnp.zeros((64, 1))
    sample = policy.sample(params, obs, jax.random.key(0))
    advantage = sample.action[:, 0] + sample.action[:, 0] ** 2
    samples = Transitions(obs, sample.action, sample.log_prob, advantage, advantage[:, None], jnp.ones(64, bool))
    new, _, metrics = trust_region(policy, 1e-4, damping=0.0).rollout_step(params, (), samples)
    assert float(metrics["backtracks"]) == 0
    std, a = np.exp(-1.0), np.float64(sample.action[:, 0])
    push = np.float64(advantage)
    gradient = np.array([(push * a / std**2).mean(), (push * (a**2 / std**2 - 1)).mean()])
    natural = gradient / np.array([1 / std**2, 2])
    step = natural * np.sqrt(2 * 1e-4 / (natural @ gradient))
    moved = [float(new["mean"]["params"]["Dense_0"]["bias"][0]), float(new["log_std"][0]) + 1]
    np.testing.assert_allclose(moved, step, rtol=1e-2)


def test_samples_that_are_no_transitions_do_not_count() -> None:
    policy = heads()["gaussian"]
    params = jax.jit(policy.init)(jax.random.key(0))
    valid = np.arange(256) < 200
    samples = toy(policy, params, valid)
    junk = jnp.where(jnp.asarray(valid), samples.advantage, 1e6)
    other = Transitions(samples.obs, samples.action, samples.log_prob, junk, samples.returns, samples.valid)
    step = jax.jit(trust_region(policy, MAX_KL).rollout_step)
    one, two = (step(params, (), s)[0] for s in (samples, other))
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_no_advantage_leaves_the_policy() -> None:
    policy = heads()["gaussian"]
    params = jax.jit(policy.init)(jax.random.key(0))
    samples = toy(policy, params)
    step = jax.jit(trust_region(policy, MAX_KL).rollout_step)
    for advantage in (jnp.zeros(256), jnp.full(256, jnp.nan)):
        flat = Transitions(samples.obs, samples.action, samples.log_prob, advantage, samples.returns, samples.valid)
        same, _, metrics = step(params, (), flat)
        jax.tree.map(np.testing.assert_array_equal, same, params)
        assert float(metrics["line_search_failed"]) == 1


def test_conjugate_gradient_solves() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a = np.float32(a @ a.T + np.eye(6))
    b = np.float32(rng.normal(size=6))
    np.testing.assert_allclose(conjugate_gradient(lambda v: a @ v, b, 20), np.linalg.solve(a, b), rtol=1e-2, atol=1e-3)
    np.testing.assert_array_equal(conjugate_gradient(lambda v: a @ v, 0 * b, 5), 0)


def test_conjugate_gradient_takes_the_steps_of_jax_but_does_not_hide_nan_nor_follow_bad_curvature() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a = np.float32(a @ a.T + np.eye(6))
    b = jnp.float32(rng.normal(size=6))
    theirs, _ = jax.scipy.sparse.linalg.cg(lambda v: a @ v, b, tol=0.0, maxiter=4)
    np.testing.assert_allclose(conjugate_gradient(lambda v: a @ v, b, 4), theirs, rtol=1e-5)
    assert np.isnan(conjugate_gradient(lambda v: a @ v, b.at[0].set(jnp.nan), 4)).any()
    for curvature in (0.0, -1.0):
        np.testing.assert_array_equal(conjugate_gradient(lambda v, c=curvature: c * v, b, 4), 0)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"max_kl": 0.0}, r"max_kl must be greater than 0, not 0\.0"),
        ({"max_kl": float("nan")}, "max_kl must be greater than 0"),
        ({"shrink": 1.0}, r"shrink must be in \(0, 1\)"),
        ({"damping": -1.0}, "damping must not be negative"),
        ({"cg_iterations": 0}, "cg_iterations must be at least 1"),
        ({"backtracks": 0}, "backtracks must be at least 1"),
    ],
)
def test_bad_constants_are_refused(constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trust_region(heads()["gaussian"], **constants)


def test_a_head_without_a_divergence_is_refused() -> None:
    with pytest.raises(ValueError, match="no divergence in closed form"):
        trust_region(tanh_gaussian(SPEC, mlp((4,))))

"""The trajectory constraint, against its equations in plain numpy (ALGORITHMS: section 2), and its sign."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mjx_tecrl import Batch, Spec
from mjx_tecrl.entropy import trajectory_entropy
from mjx_tecrl.policies import Sample
from tests.mjx_tecrl.reference import f64, gelu, last_layer, mlp

SPEC = Spec(obs_size=3, action_size=2)
GAMMA, RHO, BATCH = 0.9, 1.5, 5
BUDGET = RHO * -2 / (1 - GAMMA)  # -30
RULE = trajectory_entropy(SPEC, (8,), rho=RHO, discount=GAMMA, init_log_alpha=0.7)
WEIGHT = np.array([1, 1, 0, 1, 1], np.float32)
TERMINATED = np.array([0, 1, 0, 0, 0], np.float32)


@functools.cache
def params(seed: int) -> Any:
    return jax.jit(RULE.init_critic)(jax.random.key(seed))


def make_batch() -> Batch:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return Batch(
        obs=draw(BATCH, 3),
        action=np.tanh(draw(BATCH, 2)),
        reward=draw(BATCH),
        discount=GAMMA * (1 - TERMINATED),
        next_obs=draw(BATCH, 3),
        weight=WEIGHT,
    )


def make_sample(log_prob: float = 0.0) -> Sample:
    rng = np.random.default_rng(1)
    return Sample(
        action=np.tanh(rng.normal(size=(BATCH, 2))).astype(np.float32),
        log_prob=(log_prob + rng.normal(size=BATCH)).astype(np.float32),
        std=np.ones((BATCH, 2), np.float32),
    )


def q_e(seed: int, obs: Any, action: Any) -> np.ndarray:
    return mlp(params(seed), np.concatenate([f64(obs), f64(action)], -1), gelu)[1][:, 0]


def mean(values: np.ndarray) -> float:
    return (values * WEIGHT).sum() / WEIGHT.sum()


def test_critic_loss_equals_the_equations() -> None:
    batch, sample = make_batch(), make_sample()
    # Beyond a terminal state there is neither entropy nor a value: 1 - d stands before the whole bracket.
    target = GAMMA * (1 - TERMINATED) * (-f64(sample.log_prob) + q_e(1, batch.next_obs, sample.action))
    error = q_e(0, batch.obs, batch.action) - target
    (loss, metrics), gradients = jax.jit(jax.value_and_grad(RULE.critic_loss, (0, 1, 3), has_aux=True))(
        params(0), params(1), batch, sample
    )
    assert float(loss) == pytest.approx(mean(error**2), rel=1e-4)
    np.testing.assert_allclose(last_layer(gradients[0])["bias"], [mean(2 * error)], rtol=1e-4)
    assert float(metrics["entropy_critic_error"]) == pytest.approx(mean(np.abs(error)), rel=1e-4)
    for gradient in jax.tree.leaves(gradients[1:]):
        assert not np.any(gradient)


def test_policy_cost_equals_the_equations() -> None:
    batch, sample = make_batch(), make_sample()
    log_alpha = jnp.float32(-0.4)
    cost = jax.jit(RULE.policy_cost)(params(0), log_alpha, batch.obs, sample)
    expected = np.exp(-0.4) * (f64(sample.log_prob) - q_e(0, batch.obs, sample.action))
    np.testing.assert_allclose(cost, expected, rtol=1e-4, atol=1e-5)


def test_policy_cost_reaches_the_action_through_the_entropy_critic() -> None:
    batch, sample = make_batch(), make_sample()

    def total(action: jax.Array, log_prob: jax.Array) -> jax.Array:
        return RULE.policy_cost(
            params(0), jnp.float32(-0.4), batch.obs, sample._replace(action=action, log_prob=log_prob)
        ).sum()

    by_action, by_log_prob = jax.jit(jax.grad(total, (0, 1)))(sample.action, sample.log_prob)
    step, expected = 1e-5, np.zeros((BATCH, 2))
    for i in range(2):
        nudge = step * np.eye(2)[i]
        difference = q_e(0, batch.obs, sample.action + nudge) - q_e(0, batch.obs, sample.action - nudge)
        expected[:, i] = -np.exp(-0.4) * difference / (2 * step)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(by_action, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(by_log_prob, np.full(BATCH, np.exp(-0.4)), rtol=1e-5)


temperature = jax.jit(jax.value_and_grad(RULE.temperature_loss, (0, 1, 3), has_aux=True))


def test_temperature_loss_equals_the_equations() -> None:
    batch, sample, log_alpha = make_batch(), make_sample(), jnp.float32(-0.4)
    trajectory = mean(-f64(sample.log_prob) + q_e(0, batch.obs, sample.action))
    (loss, metrics), gradients = temperature(log_alpha, params(0), batch, sample)
    assert float(loss) == pytest.approx(-0.4 * (trajectory - BUDGET), rel=1e-4)
    assert float(gradients[0]) == pytest.approx(trajectory - BUDGET, rel=1e-4)
    for gradient in jax.tree.leaves(gradients[1:]):
        assert not np.any(gradient)
    assert float(metrics["trajectory_entropy"]) == pytest.approx(trajectory, rel=1e-4)
    assert float(metrics["budget_gap"]) == pytest.approx(trajectory - BUDGET, rel=1e-4)


@pytest.mark.parametrize(("surplus", "direction"), [(-5.0, 1), (5.0, -1)])
def test_temperature_rises_below_the_budget_and_falls_above_it(surplus: float, direction: int) -> None:
    batch = make_batch()
    level = mean(-f64(make_sample().log_prob) + q_e(0, batch.obs, make_sample().action))
    sample = make_sample(log_prob=level - (BUDGET + surplus))
    optimizer, log_alpha = optax.adam(0.01), RULE.init_log_alpha()
    (_, metrics), (gradient, *_) = temperature(log_alpha, params(0), batch, sample)
    assert float(metrics["budget_gap"]) == pytest.approx(surplus, abs=1e-3)
    step, _ = optimizer.update(gradient, optimizer.init(log_alpha))
    assert float(step) * direction > 0.005


def test_the_critic_of_rewards_never_sees_the_temperature() -> None:
    assert not np.any(RULE.next_bonus(jnp.float32(3.0), make_sample()))


def test_initial_temperature() -> None:
    assert float(RULE.init_log_alpha()) == pytest.approx(0.7)
    # A weak type would change after the first update, and with it recompile the program.
    assert not RULE.init_log_alpha().weak_type


def test_a_discount_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"discount must be in \[0, 1\), not 1.0"):
        trajectory_entropy(SPEC, (8,), discount=1.0)

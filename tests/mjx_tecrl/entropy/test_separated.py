"""The entropy critic and TECRL's constraint on it, against the equations in plain numpy, and the constraint's sign."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mjx_tecrl import Batch, Spec
from mjx_tecrl.entropy import EntropyRule, adaptive_budget, separated_entropy, step_target, trajectory_budget
from mjx_tecrl.networks import mlp
from mjx_tecrl.policies import ActionSample
from tests.mjx_tecrl.reference import ensemble, f64, gelu, last_layer

SPEC = Spec(obs_size=3, action_size=2)
GAMMA, RHO, BATCH = 0.9, 1.5, 5
BUDGET = RHO * -2 / (1 - GAMMA)  # -30
VALUE = np.float32(7.0)
TEMPERATURE = trajectory_budget(SPEC, RHO, GAMMA, init_log_alpha=0.7)


def make_rule(**choices: Any) -> EntropyRule:
    return separated_entropy(SPEC, mlp((8,)), TEMPERATURE, **({"discount": GAMMA} | choices))


RULE = make_rule()
WEIGHT = np.array([1, 1, 0, 1, 1], np.float32)
TERMINATED = np.array([0, 1, 0, 0, 0], np.float32)


@functools.cache
def params(seed: int, members: int = 1) -> Any:
    """Parameters large enough that members disagree."""
    return jax.tree.map(lambda x: 2 * x, jax.jit(make_rule(members=members).init_critic)(jax.random.key(seed)))


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


def make_sample(log_prob: float = 0.0) -> ActionSample:
    rng = np.random.default_rng(1)
    return ActionSample(
        action=np.tanh(rng.normal(size=(BATCH, 2))).astype(np.float32),
        log_prob=(log_prob + rng.normal(size=BATCH)).astype(np.float32),
        std=np.ones((BATCH, 2), np.float32),
    )


def q_e(seed: int, obs: Any, action: Any) -> np.ndarray:
    return ensemble(params(seed), np.concatenate([f64(obs), f64(action)], -1), gelu)[1][0, :, 0]


def mean(values: np.ndarray) -> float:
    return (values * WEIGHT).sum() / WEIGHT.sum()


def test_critic_loss_equals_the_equations() -> None:
    batch, sample = make_batch(), make_sample()
    # Beyond a terminal state there is neither entropy nor value: the factor 1 - d stands before the whole bracket.
    target = GAMMA * (1 - TERMINATED) * (-f64(sample.log_prob) + q_e(1, batch.next_obs, sample.action))
    error = q_e(0, batch.obs, batch.action) - target
    (loss, (_, metrics)), gradients = jax.jit(jax.value_and_grad(RULE.critic_loss, (0, 1, 3), has_aux=True))(
        params(0), params(1), batch, sample
    )
    assert float(loss) == pytest.approx(mean(error**2), rel=1e-4)
    np.testing.assert_allclose(last_layer(gradients[0])["bias"], [[mean(2 * error)]], rtol=1e-4)
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
    (loss, metrics), gradients = temperature(log_alpha, params(0), batch, sample, VALUE)
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
    optimizer, log_alpha = optax.adam(0.01), RULE.init_temperature()
    (_, metrics), (gradient, *_) = temperature(log_alpha, params(0), batch, sample, VALUE)
    assert float(metrics["budget_gap"]) == pytest.approx(surplus, abs=1e-3)
    step, _ = optimizer.update(gradient, optimizer.init(log_alpha))
    assert float(step) * direction > 0.005


def test_the_critic_of_rewards_never_sees_the_temperature() -> None:
    assert not np.any(RULE.next_bonus(jnp.float32(3.0), make_sample()))


def test_of_several_entropy_critics_the_smallest_counts() -> None:
    rule, batch, sample = make_rule(members=2), make_batch(), make_sample()
    both = lambda seed, obs, action: ensemble(  # noqa: E731
        params(seed, 2), np.concatenate([f64(obs), f64(action)], -1), gelu
    )[1][..., 0]
    future = both(1, batch.next_obs, sample.action)
    assert set(future.argmin(0)) == {0, 1}
    target = GAMMA * (1 - TERMINATED) * (-f64(sample.log_prob) + future.min(0))
    error = both(0, batch.obs, batch.action) - target
    loss, _ = jax.jit(rule.critic_loss)(params(0, 2), params(1, 2), batch, sample)
    assert float(loss) == pytest.approx(mean(error[0] ** 2) + mean(error[1] ** 2), rel=1e-4)
    cost = jax.jit(rule.policy_cost)(params(0, 2), jnp.float32(0.0), batch.obs, sample)
    expected = f64(sample.log_prob) - both(0, batch.obs, sample.action).min(0)
    np.testing.assert_allclose(cost, expected, rtol=1e-4, atol=1e-5)


def test_a_normalized_entropy_critic_learns_the_same_quantity_in_smaller_units() -> None:
    rule, batch, sample = make_rule(normalized=True), make_batch(), make_sample()
    unit = 1 - GAMMA
    target = GAMMA * (1 - TERMINATED) * (-unit * f64(sample.log_prob) + q_e(1, batch.next_obs, sample.action))
    error = q_e(0, batch.obs, batch.action) - target
    loss, _ = jax.jit(rule.critic_loss)(params(0), params(1), batch, sample)
    assert float(loss) == pytest.approx(mean(error**2), rel=1e-4)
    cost = jax.jit(rule.policy_cost)(params(0), jnp.float32(0.0), batch.obs, sample)
    expected = f64(sample.log_prob) - q_e(0, batch.obs, sample.action) / unit
    np.testing.assert_allclose(cost, expected, rtol=1e-4, atol=1e-4)


def test_terminal_entropy_counts_the_action_in_a_terminal_state() -> None:
    rule, batch, sample = make_rule(terminal_entropy=True), make_batch(), make_sample()
    future = (1 - TERMINATED) * q_e(1, batch.next_obs, sample.action)
    error = q_e(0, batch.obs, batch.action) - GAMMA * (-f64(sample.log_prob) + future)
    loss, _ = jax.jit(rule.critic_loss)(params(0), params(1), batch, sample)
    assert float(loss) == pytest.approx(mean(error**2), rel=1e-4)


def test_an_unguided_policy_pays_for_its_own_entropy_only() -> None:
    batch, sample = make_batch(), make_sample()
    cost = jax.jit(make_rule(guides_policy=False).policy_cost)(params(0), jnp.float32(-0.4), batch.obs, sample)
    np.testing.assert_allclose(cost, np.exp(-0.4) * f64(sample.log_prob), rtol=1e-5)


def test_a_separated_entropy_may_follow_the_current_step() -> None:
    rule = separated_entropy(SPEC, mlp((8,)), step_target(SPEC, RHO, 0.7), discount=GAMMA)
    batch, sample = make_batch(), make_sample()
    gap = mean(-f64(sample.log_prob)) + RHO * 2
    (_, metrics), gradient = jax.jit(jax.value_and_grad(rule.temperature_loss, has_aux=True))(
        jnp.float32(-0.4), params(0), batch, sample, VALUE
    )
    assert float(gradient) == pytest.approx(gap, rel=1e-4)
    assert float(metrics["entropy_to_go"]) == pytest.approx(mean(q_e(0, batch.obs, sample.action)), rel=1e-4)


def test_an_adaptive_budget_sees_the_value_of_the_transitions_that_were_made() -> None:
    rule = separated_entropy(SPEC, mlp((8,)), adaptive_budget(SPEC, RHO, 0.01, GAMMA, -3.0), discount=GAMMA)
    batch, sample, dual = make_batch(), make_sample(), rule.init_temperature()
    value = np.random.default_rng(5).normal(size=len(batch.weight)).astype(np.float32)
    _, metrics = jax.jit(rule.temperature_loss)(dual, params(0), batch, sample, value)
    assert float(metrics["price"]) == pytest.approx(np.exp(-3) * 2 / (1 - GAMMA) / abs(mean(value)), rel=1e-4)
    assert float(metrics["log_alpha"]) == pytest.approx(-3)
    cost = jax.jit(rule.policy_cost)(params(0), dual, batch.obs, sample)
    plain = jax.jit(RULE.policy_cost)(params(0), jnp.float32(-3), batch.obs, sample)
    np.testing.assert_allclose(cost, plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"discount": 1.0}, r"discount must be in \[0, 1\), not 1.0"), ({"members": 0}, "at least 1 entropy critic, not 0")],
)
def test_bad_constants_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_rule(**choices)

"""Entropy inside the action value, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import Batch, Spec
from mjx_tecrl.entropy import entropy_in_value, step_target, trajectory_budget
from mjx_tecrl.policies import ActionSample

SPEC = Spec(obs_size=3, action_size=2)
RULE = entropy_in_value(step_target(SPEC, rho=1.5, init_log_alpha=0.7))  # target -3
LOG_PROB = np.float32([1.0, 100.0, 3.0])
SAMPLE = ActionSample(np.zeros((3, 2), np.float32), LOG_PROB, np.ones((3, 2), np.float32))
BATCH = Batch(*[np.zeros((3, 1), np.float32)] * 5, weight=np.float32([1, 0, 1]))
VALUE = np.float32([5.0, 100.0, 7.0])


def test_the_bonus_is_the_price_of_the_entropy_and_the_cost_its_negative() -> None:
    alpha = np.exp(0.5)
    np.testing.assert_allclose(RULE.next_bonus(jnp.float32(0.5), SAMPLE), -alpha * LOG_PROB, rtol=1e-6)
    np.testing.assert_allclose(RULE.policy_cost((), jnp.float32(0.5), BATCH.obs, SAMPLE), alpha * LOG_PROB, rtol=1e-6)


def test_the_temperature_follows_the_mean_entropy_of_the_transitions_that_were_made() -> None:
    gradient = jax.grad(lambda log_alpha: RULE.temperature_loss(log_alpha, (), BATCH, SAMPLE, VALUE)[0])(jnp.float32(0.5))
    assert float(gradient) == pytest.approx(-2.0 + 3.0)


def test_there_is_no_entropy_critic() -> None:
    assert RULE.init_critic(jax.random.key(0)) == ()
    assert RULE.critic_loss((), (), BATCH, SAMPLE) == (0, ((), {}))


def test_a_trajectory_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="budget needs an entropy critic: the entropy cannot be inside the value"):
        entropy_in_value(trajectory_budget(SPEC, 1.0, 0.9, 0.0))

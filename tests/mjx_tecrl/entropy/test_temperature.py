"""What the temperature follows: values and slopes by hand, and budgets that are impossible."""

import math

import jax
import jax.numpy as jnp
import pytest

from mjx_tecrl import Spec
from mjx_tecrl.entropy import Temperature, adaptive_budget, fixed_temperature, step_target, trajectory_budget

SPEC = Spec(obs_size=3, action_size=2)
BUDGET = trajectory_budget(SPEC, rho=1.5, discount=0.9, init_log_alpha=0.7)  # -30
TARGET = step_target(SPEC, rho=1.5, init_log_alpha=0.7)  # -3
FIXED = fixed_temperature(0.7)
STEP = (jnp.float32(-4), jnp.float32(-20), jnp.float32(50))
"""Entropy, entropy to go, value."""


@pytest.mark.parametrize(("rule", "slope"), [(BUDGET, -4.0 - 20.0 + 30.0), (TARGET, -4.0 + 3.0), (FIXED, 0.0)])
def test_the_slope_is_what_there_is_too_much(rule: Temperature, slope: float) -> None:
    (loss, _), gradient = jax.value_and_grad(rule.loss, has_aux=True)(jnp.float32(-0.4), *STEP)
    assert float(gradient) == pytest.approx(slope)
    assert float(loss) == pytest.approx(-0.4 * slope)


@pytest.mark.parametrize("rule", [BUDGET, TARGET, FIXED])
def test_initial_temperature(rule: Temperature) -> None:
    assert float(rule.init()) == pytest.approx(0.7)
    # A weak type would change with the first update, and the program would be compiled again.
    assert not rule.init().weak_type


# The worth of one more unit of rho at alpha = exp(-3), for 2 actions and 10 discounted steps, as a share of a value of 50.
SHARE = math.exp(-3) * 2 * 10 / 50


@pytest.mark.parametrize(("price", "push"), [(SHARE * 1.5, -math.log(1.5)), (SHARE / 1.5, math.log(1.5)), (SHARE / 99, 1)])
def test_an_adaptive_budget_rises_while_entropy_is_dear(price: float, push: float) -> None:
    rule = adaptive_budget(SPEC, rho=1.5, price=price, discount=0.9, init_log_alpha=-3.0)
    dual = rule.init()
    gradient, metrics = jax.grad(rule.loss, has_aux=True)(dual, *STEP)
    # Rho moves against its gradient. The temperature moves as under a fixed budget.
    assert float(gradient["rho"]) == pytest.approx(-push, rel=1e-4)
    assert float(gradient["log_alpha"]) == pytest.approx(-4.0 - 20.0 + 30.0)
    assert float(metrics["price"]) == pytest.approx(SHARE, rel=1e-4)
    assert float(metrics["rho"]) == pytest.approx(1.5)
    assert float(rule.log_alpha(dual)) == pytest.approx(-3)
    # The sign of the value does not matter, and a value of 0 breaks nothing.
    assert float(jax.grad(rule.loss, has_aux=True)(dual, *STEP[:2], -STEP[2])[0]["rho"]) == pytest.approx(-push, rel=1e-4)
    assert float(jax.grad(rule.loss, has_aux=True)(dual, *STEP[:2], 0 * STEP[2])[0]["rho"]) == -1


def test_an_entropy_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the price of entropy must be greater than 0, not -0\.1"):
        adaptive_budget(SPEC, 1.0, -0.1, 0.9, 0.0)


def test_a_discount_of_one_has_no_finite_budget() -> None:
    with pytest.raises(ValueError, match=r"discount must be in \[0, 1\), not 1.0"):
        trajectory_budget(SPEC, 1.0, 1.0, 0.0)


def test_more_entropy_than_an_action_can_have_is_refused() -> None:
    for make in (lambda rho: step_target(SPEC, rho, 0.0), lambda rho: trajectory_budget(SPEC, rho, 0.9, 0.0)):
        make(-math.log(2) + 1e-6)
        with pytest.raises(ValueError, match=r"rho -0\.7 asks for 0\.7 nats per action dimension, .* at most 0\.693"):
            make(-0.7)

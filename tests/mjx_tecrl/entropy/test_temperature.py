"""What the temperature follows: values and slopes by hand, and budgets that cannot be."""

import math

import jax
import jax.numpy as jnp
import pytest

from mjx_tecrl import Spec
from mjx_tecrl.entropy import Temperature, fixed_temperature, step_target, trajectory_budget

SPEC = Spec(obs_size=3, action_size=2)
BUDGET = trajectory_budget(SPEC, rho=1.5, discount=0.9, init_log_alpha=0.7)  # -30
TARGET = step_target(SPEC, rho=1.5, init_log_alpha=0.7)  # -3
FIXED = fixed_temperature(0.7)


@pytest.mark.parametrize(("rule", "slope"), [(BUDGET, -4.0 - 20.0 + 30.0), (TARGET, -4.0 + 3.0), (FIXED, 0.0)])
def test_the_slope_is_what_there_is_too_much(rule: Temperature, slope: float) -> None:
    (loss, _), gradient = jax.value_and_grad(rule.loss, has_aux=True)(jnp.float32(-0.4), jnp.float32(-4), jnp.float32(-20))
    assert float(gradient) == pytest.approx(slope)
    assert float(loss) == pytest.approx(-0.4 * slope)


@pytest.mark.parametrize("rule", [BUDGET, TARGET, FIXED])
def test_initial_temperature(rule: Temperature) -> None:
    assert float(rule.init()) == pytest.approx(0.7)
    # A weak type would change after the first update, and with it recompile the program.
    assert not rule.init().weak_type


def test_a_discount_of_one_has_no_finite_budget() -> None:
    with pytest.raises(ValueError, match=r"discount must be in \[0, 1\), not 1.0"):
        trajectory_budget(SPEC, 1.0, 1.0, 0.0)


def test_more_entropy_than_an_action_can_have_is_refused() -> None:
    for make in (lambda rho: step_target(SPEC, rho, 0.0), lambda rho: trajectory_budget(SPEC, rho, 0.9, 0.0)):
        make(-math.log(2) + 1e-6)
        with pytest.raises(ValueError, match=r"rho -0\.7 asks for 0\.7 nats per action dimension, .* at most 0\.693"):
            make(-0.7)

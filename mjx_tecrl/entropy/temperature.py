"""What the temperature follows: the entropy of the whole trajectory, the entropy of the current step, or nothing."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mjx_tecrl.types import Metrics, Spec

MOST_ENTROPY = math.log(2)
"""Entropy of the uniform distribution over [-1, 1], nats: no action dimension can have more."""


class Temperature(NamedTuple):
    """A rule for the temperature alpha, the price of entropy.

    Attributes:
      init: ``() -> params``, what is learned: log alpha, and whatever else the rule adapts.
      loss: ``(params, entropy [], entropy_to_go [], value []) -> ([], metrics)``, to be minimised. It is given the mean
        entropy of the current step, the mean entropy to come and the mean action value. ``entropy_to_go`` is None where
        there is no entropy critic.
      needs_entropy_to_go: whether it reads ``entropy_to_go``.
      log_alpha: ``params -> []``.
      is_learned: whether it follows something; a fixed temperature does not.
    """

    init: Callable[[], Any]
    loss: Callable[[Any, jax.Array, jax.Array | None, jax.Array], tuple[jax.Array, Metrics]]
    needs_entropy_to_go: bool
    log_alpha: Callable[[Any], jax.Array] = lambda params: params
    is_learned: bool = True


def trajectory_budget(spec: Spec, rho: float, discount: float, init_log_alpha: float) -> Temperature:
    """TECRL's constraint: the discounted sum of entropies is to equal ``-rho action_size / (1 - discount)``.

    The temperature rises while the sum is smaller. The loss is Eq. 15 with the sign of one to be minimised; the paper prints
    the objective of the dual problem, which is to be maximised.

    Args:
      spec: sizes.
      rho: the budget in units of the usual target entropy -action_size.
      discount: the discount factor gamma of the sum.
      init_log_alpha: initial log temperature.

    Raises:
      ValueError: a discount for which there is no finite budget, or a budget that no policy can reach.
    """
    _check_discount(discount)
    _check_reachable(rho)
    budget = -rho * spec.action_size / (1 - discount)

    def loss(
        log_alpha: jax.Array, entropy: jax.Array, entropy_to_go: jax.Array | None, value: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        assert entropy_to_go is not None
        gap = entropy + entropy_to_go - budget
        return log_alpha * gap, {"budget_gap": gap}

    return Temperature(_constant(init_log_alpha), loss, needs_entropy_to_go=True)


def adaptive_budget(spec: Spec, rho: float, price: float, discount: float, init_log_alpha: float) -> Temperature:
    """TECRL's constraint with a budget that follows its own price.

    Alpha is the constraint's multiplier: the value that one more nat costs. One more unit of rho frees
    ``action_size / (1 - discount)`` nats, so it is worth ``alpha action_size / (1 - discount)``. Divided by the action
    value, this is a share without units. Rho rises while the share is above ``price`` (entropy is dear: demand less) and
    falls while it is below (entropy is cheap: explore). A budget out of reach drives alpha, and with it the share, to 0 or
    to infinity, and so comes back within reach by itself. Rho should move more slowly than alpha: the two are an oscillator,
    and alpha is what damps it. This rule is the project's own; the paper leaves the choice of the budget open.

    Args:
      spec: sizes.
      rho: the initial budget in units of -action_size / (1 - discount).
      price: the share of the value at which rho rests.
      discount: the discount factor gamma of the sum.
      init_log_alpha: initial log temperature.

    Raises:
      ValueError: a discount for which there is no finite budget, a budget that no policy can reach, or a price that is not
        positive.
    """
    _check_discount(discount)
    _check_reachable(rho)
    if not price > 0:
        raise ValueError(f"the price of entropy must be greater than 0, not {price}")
    unit = spec.action_size / (1 - discount)

    def init() -> dict[str, jax.Array]:
        return {"log_alpha": _constant(init_log_alpha)(), "rho": _constant(rho)()}

    def loss(
        params: dict[str, jax.Array], entropy: jax.Array, entropy_to_go: jax.Array | None, value: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        assert entropy_to_go is not None
        fixed = jax.lax.stop_gradient(params)
        gap = entropy + entropy_to_go + fixed["rho"] * unit
        # An untrained critic's value is near 0, and the share enormous. The push is bounded, so that rho soon recovers from
        # it.
        share = jnp.exp(fixed["log_alpha"]) * unit / (jnp.abs(value) + 1e-6)
        push = jnp.clip(jnp.log(share / price), -1, 1)
        metrics = {"budget_gap": gap, "rho": fixed["rho"], "price": share}
        return params["log_alpha"] * gap - params["rho"] * push, metrics

    return Temperature(init, loss, needs_entropy_to_go=True, log_alpha=lambda params: params["log_alpha"])


def step_target(spec: Spec, rho: float, init_log_alpha: float) -> Temperature:
    """SAC's constraint: the mean entropy of the current step is to equal ``-rho action_size`` (arXiv 1812.05905).

    Args:
      spec: sizes.
      rho: the target in units of the usual target, -action_size.
      init_log_alpha: initial log temperature.

    Raises:
      ValueError: a target that no policy can reach.
    """
    _check_reachable(rho)
    target = -rho * spec.action_size

    def loss(
        log_alpha: jax.Array, entropy: jax.Array, entropy_to_go: jax.Array | None, value: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        return log_alpha * (entropy - target), {"budget_gap": entropy - target}

    return Temperature(_constant(init_log_alpha), loss, needs_entropy_to_go=False)


def fixed_temperature(log_alpha: float) -> Temperature:
    """No constraint: the temperature stays as it is."""

    def loss(
        log_alpha: jax.Array, entropy: jax.Array, entropy_to_go: jax.Array | None, value: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        return jnp.zeros(()), {}

    return Temperature(_constant(log_alpha), loss, needs_entropy_to_go=False, is_learned=False)


def _constant(value: float) -> Callable[[], jax.Array]:
    # The dtype is given, because a weak type would change with the first update, and every program would be compiled a
    # second time.
    return lambda: jnp.asarray(value, jnp.float32)


def _check_discount(discount: float) -> None:
    if not 0 <= discount < 1:
        raise ValueError(f"discount must be in [0, 1), not {discount}")


def _check_reachable(rho: float) -> None:
    if -rho > MOST_ENTROPY:
        raise ValueError(
            f"rho {rho} asks for {-rho} nats per action dimension, and actions in [-1, 1] have at most {MOST_ENTROPY:.3f}"
        )

"""TRPO's constrained step (arXiv 1502.05477): a natural gradient, and a line search that keeps the divergence in bounds."""

from collections.abc import Callable
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp

from mjx_tecrl.gradients import loss_and_gradient
from mjx_tecrl.objectives.base import Objective, no_step, probability_ratio
from mjx_tecrl.policies import Policy
from mjx_tecrl.types import Metrics, Params, Transitions

Search = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""Number of lengths tried; parameters, divergence and surrogate of the last one."""


def conjugate_gradient(product: Callable[[jax.Array], jax.Array], b: jax.Array, iterations: int) -> jax.Array:
    """An approximate solution x of ``A x = b`` for symmetric positive definite A, given ``product: x -> A x``.

    It stands still once the residual is 0, or the curvature along its direction is not positive.

    ``jax.scipy.sparse.linalg.cg`` with ``tol=0`` takes the same steps, bit for bit, on a well-posed problem. It differs
    where a trust region needs care. It answers a NaN in ``b`` with x = 0, so that a broken gradient looks like one that asks
    for no step; here x is NaN, and the update is skipped and counted. It divides by a curvature of 0, and x is infinite;
    here x stays as it is. It walks along directions of negative curvature; here it stops before them.
    """

    def step(
        carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array], _: None
    ) -> tuple[tuple[jax.Array, jax.Array, jax.Array, jax.Array], None]:
        x, residual, direction, square = carry
        image = product(direction)
        curvature = direction @ image
        going = (square > 1e-20) & (curvature > 0)
        length = jnp.where(going, square / jnp.where(going, curvature, 1.0), 0.0)
        x, residual = x + length * direction, residual - length * image
        new_square = residual @ residual
        direction = residual + jnp.where(going, new_square / jnp.where(going, square, 1.0), 0.0) * direction
        return (x, residual, direction, new_square), None

    start = (jnp.zeros_like(b), b, b, b @ b)
    return jax.lax.scan(step, start, length=iterations)[0][0]


def trust_region(
    policy: Policy,
    max_kl: float = 0.01,
    damping: float = 0.1,
    cg_iterations: int = 10,
    backtracks: int = 10,
    shrink: float = 0.8,
) -> Objective:
    """One step per rollout along the natural gradient of the surrogate.

    The first length would reach the bound if the divergence were quadratic. It is shortened until the mean divergence, in
    closed form, is within the bound and the surrogate is higher than before. If no length will do, the policy stays.

    Args:
      policy: policy.
      max_kl: bound on the mean divergence KL(old || new) over the rollout, nats.
      damping: added to the Fisher matrix's diagonal.
      cg_iterations: iterations of the conjugate gradient.
      backtracks: number of lengths tried.
      shrink: factor from each length to the next.

    Raises:
      ValueError: constants that allow no step, or a policy head without closed forms.
    """
    if not max_kl > 0:
        raise ValueError(f"max_kl must be greater than 0, not {max_kl}")
    if not 0 < shrink < 1:
        raise ValueError(f"shrink must be in (0, 1), not {shrink}")
    if not damping >= 0:
        raise ValueError(f"damping must not be negative, not {damping}")
    for name, value in (("cg_iterations", cg_iterations), ("backtracks", backtracks)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    evaluate, kl = policy.evaluate, policy.kl
    if evaluate is None or kl is None:
        raise ValueError("this policy head has no divergence in closed form, which the trust region needs")

    def rollout_step(params: Params, state: Any, transitions: Transitions) -> tuple[Params, Any, Metrics]:
        flat, unravel = jax.flatten_util.ravel_pytree(params)

        def surrogate(x: jax.Array) -> jax.Array:
            ratio = probability_ratio(evaluate(unravel(x), transitions.obs, transitions.action), transitions)
            return transitions.mean(ratio * transitions.advantage)

        def divergence(x: jax.Array) -> jax.Array:
            return transitions.mean(kl(params, unravel(x), transitions.obs))

        def fisher(v: jax.Array) -> jax.Array:
            return jax.jvp(jax.grad(divergence), (flat,), (v,))[1] + damping * v

        before, gradient = loss_and_gradient(surrogate)(flat)
        direction = conjugate_gradient(fisher, gradient, cg_iterations)
        curvature = direction @ fisher(direction)
        full = direction * jnp.sqrt(2 * max_kl / jnp.where(curvature > 0, curvature, 1.0))

        def try_length(number: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            new = flat + shrink**number * full
            return new, divergence(new), surrogate(new)

        def accepted(divergence: jax.Array, value: jax.Array) -> jax.Array:
            # Comparisons with NaN are False: a step to NaN is not accepted.
            return (divergence <= max_kl) & (value > before)

        def searching(carry: Search) -> jax.Array:
            number, _, divergence, value = carry
            return ~accepted(divergence, value) & (number < backtracks)

        def search(carry: Search) -> Search:
            number = carry[0]
            return (number + 1, *try_length(number))

        start = (jnp.zeros((), jnp.int32), flat, jnp.full((), jnp.inf, flat.dtype), before)
        number, new, reached, value = jax.lax.while_loop(searching, search, start)
        success = accepted(reached, value)
        metrics = {
            "policy_loss": -before,
            # A search along a gradient of NaN finds nothing either. Its gain is NaN, so that the update counts as skipped.
            "surrogate_gain": jnp.where(success, value - before, 0.0 * gradient[0]),
            "backtracks": number - 1.0,
            "line_search_failed": 1.0 - success,
        }
        return unravel(jnp.where(success, new, flat)), state, metrics

    return Objective(lambda params: (), rollout_step, no_step)

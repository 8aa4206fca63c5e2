"""PPO's clipped surrogate (arXiv 1707.06347)."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from mjx_tecrl.gradients import loss_and_gradient
from mjx_tecrl.objectives.base import Objective, no_step, probability_ratio
from mjx_tecrl.policies import Policy
from mjx_tecrl.types import Metrics, Params, Transitions


def clipped_surrogate(ratio: jax.Array, advantage: jax.Array, clip: float) -> jax.Array:
    """``[batch]`` the smaller of the clipped and the unclipped surrogate (arXiv 1707.06347, Eq. 7), to be maximised."""
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage)


def clipped(
    policy: Policy, optimizer: optax.GradientTransformation, clip: float = 0.2, entropy_bonus: float = 0.0
) -> Objective:
    """A gradient step per minibatch on the clipped surrogate, plus a bonus for entropy.

    Args:
      policy: policy.
      optimizer: optimiser of the policy.
      clip: how far the probability ratio may move from 1 before its gradient vanishes.
      entropy_bonus: factor on the policy's entropy in the objective.

    Raises:
      ValueError: a clip that leaves no room to move, or a policy head without closed forms.
    """
    if not clip > 0:
        raise ValueError(f"clip must be greater than 0, not {clip}")
    evaluate = policy.evaluate
    if evaluate is None:
        raise ValueError("this policy head has no log-density of given actions, which the clipped surrogate needs")

    def loss(params: Params, transitions: Transitions) -> tuple[jax.Array, Metrics]:
        now = evaluate(params, transitions.obs, transitions.action)
        ratio = probability_ratio(now, transitions)
        value = -transitions.mean(clipped_surrogate(ratio, transitions.advantage, clip))
        fraction = transitions.mean((jnp.abs(ratio - 1) > clip).astype(jnp.float32))
        total = value - entropy_bonus * transitions.mean(now.entropy) if entropy_bonus else value
        return total, {"policy_loss": value, "clip_fraction": fraction}

    def step(params: Params, state: Any, transitions: Transitions) -> tuple[Params, Any, Metrics]:
        (_, metrics), gradient = loss_and_gradient(loss, has_aux=True)(params, transitions)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, metrics

    return Objective(optimizer.init, no_step, step)

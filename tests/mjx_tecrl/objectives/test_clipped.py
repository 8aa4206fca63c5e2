"""PPO's loss and its gradient, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mjx_tecrl import Spec
from mjx_tecrl.networks import mlp
from mjx_tecrl.objectives import clipped
from mjx_tecrl.objectives.clipped import clipped_surrogate
from mjx_tecrl.policies import gaussian, tanh_gaussian
from mjx_tecrl.types import Transitions

SPEC = Spec(obs_size=1, action_size=1)
LEARNING_RATE, CLIP, BONUS = 0.1, 0.2, 0.05


def test_the_pessimistic_surrogate_by_hand() -> None:
    ratio = np.float32([1.0, 1.5, 0.5, 1.5, 0.5])
    advantage = np.float32([2.0, 1.0, 1.0, -1.0, -1.0])
    np.testing.assert_allclose(clipped_surrogate(ratio, advantage, CLIP), [2.0, 1.2, 0.5, -1.5, -0.8])
    slope = jax.vmap(jax.grad(clipped_surrogate), (0, 0, None))(ratio, advantage, CLIP)
    # The gradient is 0 where the ratio has moved far enough in the direction of the advantage.
    np.testing.assert_allclose(slope[1:], [0.0, 1.0, -1.0, 0.0])


def linear(bias: float, slope: float, log_std: float) -> dict:
    layer = {"kernel": jnp.float32([[slope]]), "bias": jnp.float32([bias])}
    return {"mean": {"params": {"Dense_0": layer}}, "log_std": jnp.float32([log_std])}


@pytest.mark.parametrize("bonus", [0.0, BONUS])
def test_a_step_equals_that_by_hand(bonus: float) -> None:
    policy = gaussian(SPEC, mlp(()))  # mean = slope obs + bias
    objective = clipped(policy, optax.sgd(LEARNING_RATE), CLIP, bonus)
    bias, slope, log_std = 0.2, -0.5, -0.3
    obs = np.array([0.5, -1.0, 2.0, 0.3, 9.0])
    action = np.array([0.1, 1.2, -0.4, -1.0, np.nan])
    advantage = np.array([1.0, -0.5, 2.0, 0.7, np.nan])
    valid = np.array([True, True, True, True, False])
    mean, std = slope * obs + bias, np.exp(log_std)
    z = (action - mean) / std
    log_prob = -0.5 * z**2 - log_std - 0.5 * np.log(2 * np.pi)
    # Ratios 1, 1.1, 1.4 (beyond the clip in the direction of the advantage: no gradient) and 0.7 (against it: a gradient).
    log_ratio = np.log([1.0, 1.1, 1.4, 0.7, 1.0])
    f32 = lambda x: jnp.float32(np.nan_to_num(x))  # noqa: E731
    samples = Transitions(
        f32(obs)[:, None],
        f32(action)[:, None],
        f32(log_prob - log_ratio),
        f32(advantage),
        f32(obs)[:, None],
        jnp.array(valid),
    )
    params, _, metrics = jax.jit(objective.minibatch_step)(
        linear(bias, slope, log_std), objective.init(linear(bias, slope, log_std)), samples
    )
    ratio = np.exp(log_ratio)
    value = np.minimum(ratio * advantage, np.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage)[:4]
    assert float(metrics["policy_loss"]) == pytest.approx(-value.mean(), rel=1e-4)
    assert float(metrics["clip_fraction"]) == pytest.approx(0.5)
    # d(ratio A) = ratio A d(log pi); d(log pi)/d(mean) = z / std, d(log pi)/d(log_std) = z^2 - 1.
    flows = np.array([1, 1, 0, 1])
    push = (flows * ratio[:4] * advantage[:4]) / 4
    gradient = {
        "bias": (push * z[:4] / std).sum(),
        "slope": (push * z[:4] / std * obs[:4]).sum(),
        "log_std": (push * (z[:4] ** 2 - 1)).sum() + bonus,
    }
    layer = params["mean"]["params"]["Dense_0"]
    assert float(layer["bias"][0]) == pytest.approx(bias + LEARNING_RATE * gradient["bias"], rel=1e-4)
    assert float(layer["kernel"][0, 0]) == pytest.approx(slope + LEARNING_RATE * gradient["slope"], rel=1e-4)
    assert float(params["log_std"][0]) == pytest.approx(log_std + LEARNING_RATE * gradient["log_std"], rel=1e-4)


def test_wrong_pieces_are_refused() -> None:
    with pytest.raises(ValueError, match=r"clip must be greater than 0, not 0\.0"):
        clipped(gaussian(SPEC, mlp(())), optax.sgd(0.1), clip=0.0)
    with pytest.raises(ValueError, match="no log-density of given actions"):
        clipped(tanh_gaussian(SPEC, mlp((4,))), optax.sgd(0.1))

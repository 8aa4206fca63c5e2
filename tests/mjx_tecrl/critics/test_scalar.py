"""The scalar critic, by hand."""

import functools
from typing import Any

import jax
import numpy as np
import pytest

from mjx_tecrl import Batch, Spec
from mjx_tecrl.critics import scalar_critic
from mjx_tecrl.networks import mlp
from tests.mjx_tecrl.reference import ensemble, f64, gelu, last_layer

SPEC = Spec(obs_size=3, action_size=2)
BATCH, GAMMA = 6, 0.9
WEIGHT = np.array([1, 1, 0, 1, 1, 1], np.float32)
TERMINATED = np.array([0, 1, 0, 0, 0, 0], np.float32)
CRITIC = scalar_critic(SPEC, mlp((8,)))
NEXT_ACTION = np.tanh(np.random.default_rng(1).normal(size=(BATCH, 2))).astype(np.float32)
NEXT_BONUS = np.random.default_rng(2).normal(size=BATCH).astype(np.float32)


@functools.cache
def params(seed: int) -> Any:
    """Parameters large enough that the members disagree."""
    return jax.tree.map(lambda x: 2 * x, jax.jit(CRITIC.init)(jax.random.key(seed)))


def make_batch() -> Batch:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return Batch(draw(BATCH, 3), np.tanh(draw(BATCH, 2)), draw(BATCH), GAMMA * (1 - TERMINATED), draw(BATCH, 3), WEIGHT)


def q(seed: int, obs: np.ndarray, action: np.ndarray) -> np.ndarray:
    return ensemble(params(seed), np.concatenate([obs, action], -1), gelu)[1][..., 0]


def test_loss_and_gradients_equal_the_equations() -> None:
    batch = make_batch()
    next_q = q(4, batch.next_obs, NEXT_ACTION)
    assert set(next_q.argmin(0)) == {0, 1}
    target = f64(batch.reward) + GAMMA * (1 - TERMINATED) * (next_q.min(0) + NEXT_BONUS)
    error = q(0, batch.obs, batch.action) - target
    share = f64(WEIGHT) / WEIGHT.sum()
    loss_of = functools.partial(jax.value_and_grad, argnums=(0, 1, 4, 5), has_aux=True)
    (loss, (aux, statistics, metrics)), gradients = jax.jit(loss_of(CRITIC.loss))(
        params(0), params(4), (), batch, NEXT_ACTION, NEXT_BONUS, jax.random.key(0)
    )
    assert aux == statistics == ()
    assert float(loss) == pytest.approx((share * error**2).sum(), rel=1e-4)
    np.testing.assert_allclose(last_layer(gradients[0])["bias"][:, 0], (2 * share * error).sum(1), rtol=1e-4)
    for gradient in jax.tree.leaves(gradients[1:]):
        assert not np.any(gradient)
    assert float(metrics["td_error"]) == pytest.approx((share * np.abs(error)).sum() / 2, rel=1e-4)


def test_value_is_the_smallest() -> None:
    batch = make_batch()
    value = jax.jit(CRITIC.value)(params(0), batch.obs, batch.action)
    np.testing.assert_allclose(value, q(0, batch.obs, batch.action).min(0), rtol=1e-4, atol=1e-5)


def test_no_members_are_refused() -> None:
    with pytest.raises(ValueError, match="there must be at least 1 critic, not 0"):
        scalar_critic(SPEC, mlp((8,)), members=0)

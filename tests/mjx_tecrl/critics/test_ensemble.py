"""Critics on a network whose batch normalisation sees both ends of every transition, against plain numpy in float64."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import Batch, Spec
from mjx_tecrl.critics import categorical_critic
from mjx_tecrl.critics.categorical import categorical_loss
from mjx_tecrl.critics.ensemble import action_network
from mjx_tecrl.networks import mlp, residual
from tests.mjx_tecrl import reference
from tests.mjx_tecrl.reference import f64, softmax

SPEC = Spec(obs_size=3, action_size=2)
SIZE, GAMMA = 6, 0.9
ATOMS = np.linspace(-10, 10, 21)
WEIGHT = np.array([1, 1, 0, 1, 1, 1], np.float32)
CRITIC = categorical_critic(SPEC, residual(1, 4), num_atoms=21, value_range=(-10, 10))
NEXT_ACTION = np.tanh(np.random.default_rng(1).normal(size=(SIZE, 2))).astype(np.float32)
NEXT_BONUS = np.random.default_rng(2).normal(size=SIZE).astype(np.float32)

run = jax.jit(jax.value_and_grad(CRITIC.loss, argnums=(0, 1), has_aux=True))


def make_batch() -> Batch:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    discount = np.float32([GAMMA, 0, GAMMA, GAMMA, GAMMA, GAMMA])
    return Batch(draw(SIZE, 3), np.tanh(draw(SIZE, 2)), draw(SIZE), discount, 2 + draw(SIZE, 3), WEIGHT)


@functools.cache
def params(seed: int) -> Any:
    """Settled parameters, and running statistics that are not those of a fresh network."""
    fresh = jax.jit(CRITIC.init)(jax.random.key(seed))
    statistics = jax.tree.map(lambda x: x + 0.3, fresh["batch_stats"])
    return CRITIC.settle(fresh, statistics)


def members(params: Any) -> list[Any]:
    return [jax.tree.map(lambda x, i=i: x[i], params) for i in range(2)]


def loss(params: Any, target_params: Any, batch: Batch) -> Any:
    return run(params, target_params, (), batch, NEXT_ACTION, NEXT_BONUS, jax.random.key(0))


def ends(batch: Batch) -> np.ndarray:
    """``[2 batch, 5]`` pairs of observation and action, those of the transitions' starts first."""
    obs, action = np.concatenate([batch.obs, batch.next_obs]), np.concatenate([batch.action, NEXT_ACTION])
    return f64(np.concatenate([obs, action], -1))


def test_critics_and_targets_are_normalised_by_both_ends() -> None:
    batch = make_batch()
    inputs, weight = ends(batch), np.tile(WEIGHT, 2)
    logits = np.stack([reference.residual(p, inputs, weight)[:SIZE] for p in members(params(0))])
    next_logits = np.stack([reference.residual(p, inputs, weight)[SIZE:] for p in members(params(1))])
    expected, metrics = categorical_loss(
        jnp.float32(logits), jnp.float32(next_logits), batch, NEXT_BONUS, jnp.float32(ATOMS)
    )
    (value, (aux, _, reported)), _ = loss(params(0), params(1), batch)
    assert aux == CRITIC.init_aux() == ()
    assert float(value) == pytest.approx(float(expected), rel=1e-4)
    for name in metrics:
        assert float(reported[name]) == pytest.approx(float(metrics[name]), rel=1e-3)
    alone = np.stack([reference.residual(p, inputs[:SIZE], WEIGHT) for p in members(params(0))])
    assert np.abs(alone - logits).max() > 0.1


def test_running_statistics_move_towards_those_of_both_ends() -> None:
    batch = make_batch()
    (_, (_, statistics, _)), gradients = loss(params(0), params(1), batch)
    settled = CRITIC.settle(params(0), statistics)
    seen = ends(batch)[np.tile(WEIGHT, 2) > 0]
    first, before = settled["batch_stats"]["BatchNorm_0"], params(0)["batch_stats"]["BatchNorm_0"]
    for i in range(2):
        np.testing.assert_allclose(first["mean"][i], 0.99 * before["mean"][i] + 0.01 * seen.mean(0), rtol=1e-4)
        np.testing.assert_allclose(first["var"][i], 0.99 * before["var"][i] + 0.01 * seen.var(0, ddof=1), rtol=1e-4)
    assert not any(np.any(x) for x in jax.tree.leaves((gradients[0]["batch_stats"], gradients[1])))
    assert all(np.any(x["kernel"]) for name, x in gradients[0]["params"].items() if name.startswith("Dense"))


def test_rows_without_weight_do_not_matter() -> None:
    batch = make_batch()
    garbage = {
        name: np.where(WEIGHT.reshape(-1, *[1] * (x.ndim - 1)) > 0, x, 1e3).astype(np.float32)
        for name, x in dataclasses.asdict(batch).items()
        if name not in ("weight", "one_step")
    }
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        loss(params(0), params(1), batch),
        loss(params(0), params(1), Batch(**garbage, weight=WEIGHT)),
    )


def test_value_is_the_smallest_mean_by_running_statistics() -> None:
    batch = make_batch()
    inputs = np.concatenate([batch.obs, batch.action], -1)
    expected = np.stack([softmax(reference.residual(p, inputs)) @ ATOMS for p in members(params(0))]).min(0)
    np.testing.assert_allclose(jax.jit(CRITIC.value)(params(0), batch.obs, batch.action), expected, rtol=1e-3, atol=1e-3)


def test_no_members_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 tower, not 0"):
        action_network(SPEC, mlp((8,)), 1, 0, "tower")


@pytest.mark.parametrize(
    ("obs", "action", "error", "message"),
    [
        (np.zeros((6, 4), np.float32), NEXT_ACTION, ValueError, r"obs must have the shape \[..., 3\], not \[6, 4\]"),
        (np.zeros((6, 3)), NEXT_ACTION, TypeError, "obs must hold float32, not float64"),
        (np.zeros((6, 3), np.float32), NEXT_ACTION[:1], ValueError, r"action must have the shape \[6, 2\], not \[1, 2\]"),
        (np.zeros((6, 3), np.float32), np.zeros((6, 2), int), TypeError, "action must hold float32, not int64"),
    ],
)
def test_what_would_be_broadcast_or_cast_is_refused(obs: Any, action: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CRITIC.value(params(0), obs, action)

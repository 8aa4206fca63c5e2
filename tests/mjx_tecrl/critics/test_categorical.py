"""The C51 critic: the projection, the target, the loss, against plain loops in float64."""

import dataclasses
import functools
from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mjx_tecrl import Batch, Spec
from mjx_tecrl.critics import categorical_critic
from mjx_tecrl.critics.categorical import project
from mjx_tecrl.networks import mlp
from tests.mjx_tecrl.reference import ensemble, f64, last_layer, relu, softmax

SPEC = Spec(obs_size=3, action_size=2)
ATOMS = np.linspace(-10, 10, 21)
BATCH, GAMMA = 6, 0.9
WEIGHT = np.array([1, 1, 0, 1, 1, 1], np.float32)
TERMINATED = np.array([0, 1, 0, 0, 0, 0], np.float32)
CRITIC = categorical_critic(SPEC, mlp((8,), "relu"), num_atoms=21, value_range=(-10, 10))

on_device = jax.jit(project)


def brute_force(probs: np.ndarray, positions: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Each mass shared between its two neighbours; a mass on an atom stays there."""
    out = np.zeros_like(probs)
    spacing = (atoms[-1] - atoms[0]) / (len(atoms) - 1)
    for i in range(probs.shape[0]):
        for j in range(probs.shape[1]):
            b = (np.clip(positions[i, j], atoms[0], atoms[-1]) - atoms[0]) / spacing
            low, high = int(np.floor(b)), int(np.ceil(b))
            if low == high:
                out[i, low] += probs[i, j]
            else:
                out[i, low] += probs[i, j] * (high - b)
                out[i, high] += probs[i, j] * (b - low)
    return out


masses = hnp.arrays(np.float64, (4, 21), elements=st.floats(0, 1, allow_subnormal=False))
# Half of the positions lie exactly on atoms.
places = st.one_of(st.floats(-30, 30, allow_subnormal=False), st.integers(-12, 12).map(float))


@hypothesis.settings(deadline=None, derandomize=True, max_examples=200)
@hypothesis.given(probs=masses, positions=hnp.arrays(np.float64, (4, 21), elements=places))
def test_projection_equals_brute_force(probs: np.ndarray, positions: np.ndarray) -> None:
    probs = probs.astype(np.float32).astype(np.float64) + 1e-3
    positions = positions.astype(np.float32).astype(np.float64)
    result = f64(on_device(jnp.float32(probs), jnp.float32(positions), jnp.float32(ATOMS)))
    np.testing.assert_allclose(result.sum(-1), probs.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(result, brute_force(probs, positions, ATOMS), atol=1e-4)
    assert (result >= 0).all()


def test_mass_on_an_atom_stays_there_exactly_once() -> None:
    probs = np.full((1, 21), 1 / 21, np.float32)
    stays = on_device(probs, jnp.float32(ATOMS)[None], jnp.float32(ATOMS))
    np.testing.assert_allclose(stays, probs, rtol=1e-5, atol=0)
    everything_on_one = on_device(probs, jnp.full((1, 21), 3.0), jnp.float32(ATOMS))
    np.testing.assert_allclose(everything_on_one[0], np.where(ATOMS == 3, 1.0, 0.0), atol=1e-6)


@pytest.mark.parametrize(("position", "end"), [(-1e30, 0), (-10.0, 0), (10.0, -1), (1e30, -1), (np.inf, -1)])
def test_out_of_range_goes_to_the_end_atom(position: float, end: int) -> None:
    result = on_device(jnp.full((1, 21), 1 / 21), jnp.full((1, 21), position), jnp.float32(ATOMS))
    expected = np.zeros(21)
    expected[end] = 1
    np.testing.assert_allclose(result[0], expected, atol=1e-6)


def test_the_papers_atoms_keep_their_mass() -> None:
    rng = np.random.default_rng(0)
    atoms = jnp.linspace(-250, 250, 101)
    probs = softmax(rng.normal(size=(64, 101)))
    positions = rng.normal(size=(64, 1)) + 0.99 * f64(atoms)
    result = f64(jax.jit(project)(jnp.float32(probs), jnp.float32(positions), atoms))
    np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)
    inside = (np.abs(positions) < 250).all(-1)
    np.testing.assert_allclose((result @ f64(atoms))[inside], (probs * positions).sum(-1)[inside], atol=1e-2)


@functools.cache
def params(seed: int) -> Any:
    """Parameters large enough that the members disagree."""
    return jax.tree.map(lambda x: 2 * x, jax.jit(CRITIC.init)(jax.random.key(seed)))


def make_batch() -> Batch:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return Batch(
        obs=draw(BATCH, 3),
        action=np.tanh(draw(BATCH, 2)),
        reward=5 * draw(BATCH),
        discount=GAMMA * (1 - TERMINATED),
        next_obs=draw(BATCH, 3),
        weight=WEIGHT,
    )


NEXT_ACTION = np.tanh(np.random.default_rng(1).normal(size=(BATCH, 2))).astype(np.float32)
NEXT_BONUS = np.random.default_rng(2).normal(size=BATCH).astype(np.float32)
KEY = jax.random.key(0)


@jax.jit
@functools.partial(jax.value_and_grad, argnums=(0, 1, 4, 5), has_aux=True)
def loss_and_gradients(*args: Any) -> Any:
    return CRITIC.loss(*args)


def test_loss_and_gradients_equal_the_equations() -> None:
    batch = make_batch()
    _, next_logits = ensemble(params(1), np.concatenate([batch.next_obs, NEXT_ACTION], -1), relu)
    features, logits = ensemble(params(0), np.concatenate([batch.obs, batch.action], -1), relu)
    next_probs, probs = softmax(next_logits), softmax(logits)
    chosen = (next_probs * ATOMS).sum(-1).argmin(0)
    assert set(chosen[WEIGHT > 0]) == {0, 1}
    target = np.zeros((BATCH, 21))
    for j in range(BATCH):
        positions = batch.reward[j] + GAMMA * (1 - TERMINATED[j]) * (ATOMS + NEXT_BONUS[j])
        target[j] = brute_force(next_probs[chosen[j], j][None], positions[None], ATOMS)[0]
    share = f64(WEIGHT) / WEIGHT.sum()
    loss = -(share * (target * np.log(probs)).sum(-1)).sum()
    slope = share[:, None] * (probs - target)

    (value, (aux, _, metrics)), gradients = loss_and_gradients(params(0), params(1), (), batch, NEXT_ACTION, NEXT_BONUS, KEY)
    assert float(value) == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(last_layer(gradients[0])["bias"], slope.sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        last_layer(gradients[0])["kernel"], np.einsum("mbf,mba->mfa", features, slope), rtol=1e-4, atol=1e-5
    )
    for gradient in jax.tree.leaves(gradients[1:]):
        assert not np.any(gradient)
    assert aux == ()
    assert float(metrics["q_mean"]) == pytest.approx((share * (probs * ATOMS).sum(-1)).sum(-1).mean(), rel=1e-4)


def test_rows_without_weight_do_not_matter() -> None:
    batch = make_batch()
    garbage = {
        name: np.where(WEIGHT.reshape(-1, *[1] * (x.ndim - 1)) > 0, x, 1e3).astype(np.float32)
        for name, x in dataclasses.asdict(batch).items()
        if name not in ("weight", "one_step")
    }
    run = lambda batch: loss_and_gradients(params(0), params(1), (), batch, NEXT_ACTION, NEXT_BONUS, KEY)  # noqa: E731
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        run(batch),
        run(Batch(**garbage, weight=WEIGHT)),
    )


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_certain_critics_give_finite_losses(scale: float) -> None:
    batch = make_batch()
    certain = jax.tree.map(lambda x: x, params(0))
    last_layer(certain)["kernel"] = last_layer(certain)["kernel"] * scale
    (value, (_, _, metrics)), gradients = loss_and_gradients(certain, certain, (), batch, NEXT_ACTION, NEXT_BONUS, KEY)
    assert np.isfinite(value)
    # The floor of log-probabilities, -30, bounds the loss of each member.
    assert float(value) <= 2 * 30.001
    assert all(np.isfinite(x) for x in metrics.values())
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradients))


def test_impossible_zero_probabilities_give_no_nan() -> None:
    # Logits of -inf, as an overflow would make them, on all but one atom.
    impossible = jax.tree.map(jnp.zeros_like, params(0))
    last_layer(impossible)["bias"] = jnp.full((2, 21), -jnp.inf).at[:, 4].set(0.0)
    (value, _), _ = loss_and_gradients(impossible, params(1), (), make_batch(), NEXT_ACTION, NEXT_BONUS, KEY)
    assert np.isfinite(value)


def test_value_is_the_smallest_mean() -> None:
    batch = make_batch()
    _, logits = ensemble(params(0), np.concatenate([batch.obs, batch.action], -1), relu)
    value = jax.jit(CRITIC.value)(params(0), batch.obs, batch.action)
    np.testing.assert_allclose(value, (softmax(logits) * ATOMS).sum(-1).min(0), rtol=1e-4, atol=1e-4)


def test_without_pessimism_each_member_has_its_own_target_and_the_value_is_their_mean() -> None:
    critic, batch = (
        categorical_critic(SPEC, mlp((8,), "relu"), num_atoms=21, value_range=(-10, 10), pessimistic=False),
        make_batch(),
    )
    _, next_logits = ensemble(params(1), np.concatenate([batch.next_obs, NEXT_ACTION], -1), relu)
    _, logits = ensemble(params(0), np.concatenate([batch.obs, batch.action], -1), relu)
    positions = batch.reward[:, None] + GAMMA * (1 - TERMINATED[:, None]) * (ATOMS + NEXT_BONUS[:, None])
    share, loss = f64(WEIGHT) / WEIGHT.sum(), 0.0
    for i in range(2):
        target = brute_force(softmax(next_logits[i]), positions, ATOMS)
        loss -= (share * (target * np.log(softmax(logits[i]))).sum(-1)).sum()
    value, _ = jax.jit(critic.loss)(params(0), params(1), (), batch, NEXT_ACTION, NEXT_BONUS, KEY)
    assert float(value) == pytest.approx(loss, rel=1e-4)
    means = (softmax(logits) * ATOMS).sum(-1)
    np.testing.assert_allclose(
        jax.jit(critic.value)(params(0), batch.obs, batch.action), means.mean(0), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"value_range": (10.0, -10.0)}, "value_range must be an increasing pair"),
        ({"value_range": (1.0, 1.0)}, "value_range must be an increasing pair"),
        ({"num_atoms": 1}, "num_atoms must be at least 2, not 1"),
    ],
)
def test_bad_constants_are_refused(constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        categorical_critic(SPEC, mlp((8,), "relu"), **constants)

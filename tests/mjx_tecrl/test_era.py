"""ERA's entropy floors, over any input, and its token form."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mjx_tecrl.era import (
    check_era,
    check_softmax_era,
    check_token_era,
    era_log_std,
    response_entropy,
    softmax_era,
    token_entropy,
    token_era,
)

ENTROPY = 0.5 * np.log(2 * np.pi * np.e)
LIMITS = (-8.0, 0.0)
SIZES = [1, 2, 6, 17]

raws = st.sampled_from(SIZES).flatmap(
    lambda d: hnp.arrays(np.float32, (d,), elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False))
)
floors = st.floats(-6, 1.40625, width=32)
on_device = jax.jit(era_log_std, static_argnums=2)


@hypothesis.settings(deadline=None, derandomize=True, max_examples=300)
@hypothesis.given(raw=raws, floor=floors)
def test_entropy_is_never_below_the_floor(raw: np.ndarray, floor: float) -> None:
    log_std = np.asarray(on_device(raw, floor, LIMITS), np.float64)
    assert np.isfinite(log_std).all()
    assert (log_std >= LIMITS[0]).all()
    assert (log_std <= LIMITS[1]).all()
    entropy, d = (log_std + ENTROPY).sum(), len(raw)
    assert entropy >= d * floor - 1e-4 * d
    if (log_std > LIMITS[0]).all():
        assert entropy == pytest.approx(d * floor, abs=1e-4 * d)


def test_hand_computed_values() -> None:
    # Softmax of [0, log 3] is [1/4, 3/4]; the total to share is 2 (0 - 0.25 + 1.4189385).
    log_std = on_device(jnp.array([0.0, np.log(3.0)]), 0.25, LIMITS)
    total = 2 * (1.4189385 - 0.25)
    np.testing.assert_allclose(log_std, [-total / 4, -3 * total / 4], rtol=1e-6)
    # A larger sigma_max moves the whole range: both standard deviations below it, the same sum.
    log_std = on_device(jnp.array([0.0, np.log(3.0)]), 0.25, (-8.0, 1.0))
    total = 2 * (1 + 1.4189385 - 0.25)
    np.testing.assert_allclose(log_std, [1 - total / 4, 1 - 3 * total / 4], rtol=1e-6)
    assert float(log_std.sum()) == pytest.approx(2 * (0.25 - 1.4189385), abs=1e-5)


def test_clipping_at_the_lower_end_raises_the_entropy() -> None:
    log_std = np.asarray(on_device(jnp.array([0.0, 1e4, 0.0, 0.0, 0.0, 0.0, 0.0]), 0.25, LIMITS))
    np.testing.assert_allclose(log_std, [0, -8, 0, 0, 0, 0, 0], atol=1e-6)
    assert (log_std + ENTROPY).sum() > 7 * 0.25
    assert np.isfinite(jax.jit(jax.jacobian(lambda raw: era_log_std(raw, 0.25, LIMITS)))(jnp.array([1e4, -1e4, 0.0]))).all()


@pytest.mark.parametrize(
    ("floor", "limits", "message"),
    [
        (1.42, (-8.0, 0.0), "cannot be reached with log_std <= 0.0: the most is 1.419"),
        (0.0, (-8.0, -2.0), "cannot be reached"),
        (0.0, (0.0, -8.0), "must be increasing"),
        (0.0, (0.0, 0.0), "must be increasing"),
    ],
)
def test_impossible_floors_are_refused(floor: float, limits: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_era(floor, limits)


def test_the_largest_floor_is_accepted() -> None:
    check_era(1.418, (-8.0, 0.0))
    check_era(0.25, (-8.0, 0.0))


CLASSES = [2, 3, 10, 1000]
LOWEST = 1 + np.log(np.log(4) / 4)
"""the floors of the softmax form lie between this number and this number plus log n"""

softmaxes = st.sampled_from(CLASSES).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float32, (n,), elements=st.floats(-1e5, 1e5, width=32, allow_subnormal=False)),
        st.sampled_from([1e-5, 1e-3, 1.0]),
        st.floats(0.001, 0.999).map(lambda share: LOWEST + share * np.log(n)),
    )
)
softmax_on_device = jax.jit(softmax_era)


def entropy_of(logits: jax.Array) -> np.ndarray:
    """Entropy of the softmax, in float64."""
    z = np.asarray(logits, np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), -1)


@hypothesis.settings(deadline=None, derandomize=True, max_examples=300)
@hypothesis.given(softmaxes)
def test_softmax_entropy_is_never_below_the_floor(drawn: tuple[np.ndarray, float, float]) -> None:
    logits, scale, floor = drawn[0] * drawn[1], drawn[1], drawn[2]
    check_softmax_era(len(logits), floor)
    activated = np.asarray(softmax_on_device(logits, floor))
    assert np.isfinite(activated).all()
    # That no z' is above -log 4 wins 0.060 nats, of which the approximate inverse leaves 0.047.
    assert entropy_of(activated) >= floor + 0.047, (floor, scale)
    one_hot = np.where(np.arange(len(logits)) == 0, 1e5, 0).astype(np.float32)
    assert entropy_of(activated) >= entropy_of(softmax_on_device(one_hot, floor)) - 1e-4
    order = np.argsort(logits)
    assert (np.diff(activated[order]) >= -1e-5).all()


def test_softmax_values() -> None:
    # The check values of the paper's code constants: 10 classes, a floor of 0.6 nats.
    one_hot = softmax_on_device(jnp.where(jnp.arange(10) == 3, 1e6, 0.0), 0.6)
    assert entropy_of(one_hot) == pytest.approx(0.98, abs=0.005)
    assert float(jax.nn.softmax(one_hot).max()) == pytest.approx(0.788, abs=5e-4)
    uniform = softmax_on_device(jnp.full(10, 7.0), 0.6)
    np.testing.assert_allclose(uniform, uniform[0])
    # By hand: 2 classes, p = [1/4, 3/4], floor 0.3; C = exp(-0.7) = 0.4965853, log(4)/4 = 0.3465736.
    # h = [0.3465736 / 4 + 0.1500117 * 3/4, 0.3465736 * 3/4 + 0.1500117 / 4] = [0.1991522, 0.2974331]
    # u = [0.6136860, 0.2125659]; z' = -1 - sqrt(2u) - 0.75u
    activated = softmax_on_device(jnp.log(jnp.array([1.0, 3.0])), 0.3)
    np.testing.assert_allclose(activated, [-2.568133, -1.811445], atol=2e-6)


def test_softmax_is_smooth_and_maps_over_batches() -> None:
    logits = jnp.array([[0.0, 1e30, -1e30], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    jacobian = jax.jit(jax.vmap(jax.jacobian(softmax_era), (0, None)))(logits, 0.5)
    assert np.isfinite(jacobian).all()
    whole = softmax_on_device(logits, 0.5)
    np.testing.assert_allclose(jax.vmap(lambda z: softmax_era(z, 0.5))(logits), whole, rtol=1e-6)
    step = 1e-2 * jnp.eye(3)
    above, below = softmax_on_device(logits[2] + step, 0.5), softmax_on_device(logits[2] - step, 0.5)
    np.testing.assert_allclose(jacobian[2], (above - below).T / 2e-2, atol=2e-3)


@pytest.mark.parametrize(
    ("classes", "floor", "message"),
    [
        (10, np.log(10), "with 10 classes the entropy floor must lie between -0.0597 and 2.2429 nats, not 2.30"),
        (10, LOWEST + np.log(10), "must lie between"),
        (10, LOWEST, "must lie between"),
        (2, 0.6336, "between -0.0597 and 0.6335"),
        (1, 0.0, "over 1 classes has no entropy to keep"),
        (10, float("nan"), "must lie between"),
    ],
)
def test_impossible_softmax_floors_are_refused(classes: int, floor: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_softmax_era(classes, floor)


def test_refused_softmax_floors_would_break_it() -> None:
    logits = jnp.array([0.0, 1.0, 2.0, 3.0])
    # Just below the range, the share of an unlikely class has no logarithm. Just above it, the order is reversed.
    assert np.isnan(softmax_era(100 * logits, LOWEST - 1e-3)).any()
    assert (np.diff(softmax_era(logits, LOWEST + np.log(4) + 1e-3)) < 0).all()
    assert (np.diff(softmax_era(logits, LOWEST + np.log(4) - 1e-3)) > 0).all()


def test_token_entropy() -> None:
    logits = jnp.log(jnp.array([[1.0, 1.0, 2.0], [1.0, 1.0, 1.0]]))
    np.testing.assert_allclose(token_entropy(logits), [1.5 * np.log(2), np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(token_entropy(jnp.array([1e8, 0.0])), 0.0)


def test_response_entropy_is_the_mean_of_the_largest_fifth() -> None:
    # Lengths 10 (2 tokens count), 9 (1), 3 (1, though a fifth is less), 0 (none). Padding holds large numbers.
    entropy = jnp.array([[0.1, 0.9, 0.2, 0.5, 0.3, 0.0, 0.4, 0.2, 0.1, 0.7]] * 4)
    length = jnp.array([10, 9, 3, 0])
    mask = jnp.arange(10) < length[:, None]
    entropy = jnp.where(mask, entropy, 1e3)
    for call in (response_entropy, jax.jit(response_entropy), jax.vmap(response_entropy)):
        np.testing.assert_allclose(call(entropy, mask), [0.8, 0.9, 0.9, 0.0], rtol=1e-6)
    # Half of ten tokens; and 0.29 x 100, which is 28.999998 in float32, counts as 29 tokens.
    assert float(response_entropy(entropy[0], mask[0], 0.5)) == pytest.approx((0.9 + 0.7 + 0.5 + 0.4 + 0.3) / 5)
    hundred = jnp.arange(100.0)
    assert float(response_entropy(hundred, hundred >= 0, 0.29)) == pytest.approx(np.arange(71, 100).mean())


def test_token_form_hand_computed() -> None:
    logits = jnp.broadcast_to(jnp.array([1.0, -2.0]), (4, 3, 2))
    advantages = jnp.array([[1.0, -1.0, 0.0], [1.0, -1.0, 4.0], [1.0, -1.0, 4.0], [1.0, -1.0, 4.0]])
    h_resp = jnp.array([0.44, 0.46, 2.99, 3.01])
    mask = jnp.array([[True] * 3, [True] * 3, [True] * 3, [True, True, False]])
    for call in (token_era, jax.jit(token_era), jax.vmap(token_era)):
        scaled, weighted = call(logits, advantages, h_resp, mask)
        # Only positive advantages outside the band change: logits get sharper below it and softer above it. Padding stays.
        expected = np.array([[2.0, 1, 1], [1, 1, 1], [1, 1, 1], [0.5, 1, 1]])
        np.testing.assert_allclose(scaled, np.asarray(logits) * expected[..., None])
        np.testing.assert_allclose(weighted, [[0.5, -1, 0], [1, -1, 4], [1, -1, 4], [2, -1, 4]])
    scaled, weighted = token_era(logits, advantages, h_resp, mask, low=0.5, high=0.6, k=4.0)
    np.testing.assert_allclose(scaled[:, 0, 0], [4, 4, 0.25, 0.25])
    np.testing.assert_allclose(weighted[:, 0], [0.25, 0.25, 4, 4])


def test_token_form_turns_the_gradient_towards_entropy() -> None:
    # Two equally rewarded tokens, sampled by the policy: the plain gradient is zero, the sharpened one flattens the policy.
    logits = jnp.array([2.0, 0.0])
    p = jax.nn.softmax(logits)

    def surrogate(z: jax.Array, h_resp: float) -> jax.Array:
        def one(token: int) -> jax.Array:
            scaled, advantage = token_era(z[None], jnp.ones(1), jnp.array(h_resp), jnp.ones(1, bool))
            return advantage[0] * jax.nn.log_softmax(scaled[0])[token]

        return p[0] * one(0) + p[1] * one(1)

    np.testing.assert_allclose(jax.grad(surrogate)(logits, 1.0), 0, atol=1e-6)
    flattening = p - jax.nn.softmax(2 * logits)
    assert flattening[0] < -0.1
    np.testing.assert_allclose(jax.grad(surrogate)(logits, 0.1), flattening, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(surrogate)(logits, 4.0), p - jax.nn.softmax(logits / 2), rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [((0.5, 0.5, 2), "increasing"), ((-0.1, 1, 2), "increasing"), ((0.45, 3, 1), "above 1"), ((float("nan"), 3, 2), "incr")],
)
def test_impossible_token_constants_are_refused(values: tuple[float, float, float], message: str) -> None:
    check_token_era(0.45, 3.0, 2.0)
    with pytest.raises(ValueError, match=message):
        check_token_era(*values)


def test_token_form_holds_the_entropy_of_a_choice_that_does_not_matter() -> None:
    # Four tokens, rewarded by chance: sampling noise alone makes the plain policy forget three of them.
    def train(key: jax.Array, low: float) -> jax.Array:
        def step(logits: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            keys = jax.random.split(key)
            tokens = jax.random.categorical(keys[0], logits, shape=(8,))
            advantages = jax.random.permutation(keys[1], jnp.repeat(jnp.array([1.0, -1.0]), 4))[:, None]
            entropy = token_entropy(logits)

            def gain(logits: jax.Array) -> jax.Array:
                h_resp, mask = jnp.full(8, entropy), jnp.ones((8, 1), bool)
                scaled, weight = token_era(jnp.tile(logits, (8, 1, 1)), advantages, h_resp, mask, low)
                return jnp.mean(weight[:, 0] * jax.nn.log_softmax(scaled[:, 0])[jnp.arange(8), tokens])

            return logits + jax.grad(gain)(logits), entropy

        return jax.lax.scan(step, jnp.zeros(4), jax.random.split(key, 1000))[1]

    run = jax.jit(jax.vmap(train, (0, None)))
    keys = jax.random.split(jax.random.key(0), 64)
    plain, era = run(keys, 0.0)[:, -200:], run(keys, 0.45)[:, -200:]
    # Means over 192 keys are 0.19 and 0.66, with standard errors for 64 of 0.025 and 0.015.
    assert float(plain.mean()) < 0.3
    assert float(era.mean()) > 0.6

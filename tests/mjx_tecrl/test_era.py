"""ERA's entropy floor, over any input."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mjx_tecrl.era import check_era, era_log_std

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
    # Softmax of [0, log 3] is [1/4, 3/4]; the deal is 2 (0 - 0.25 + 1.4189385).
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

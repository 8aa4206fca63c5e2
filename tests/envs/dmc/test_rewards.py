"""`tolerance` against dm_control's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.dmc.rewards import tolerance

X = np.linspace(-4, 4, 801)


@pytest.mark.parametrize("bounds", [(0.0, 0.0), (-0.5, 1.0), (0.3, float("inf")), (float("-inf"), -0.2)])
@pytest.mark.parametrize("margin", [0.0, 0.7, 2.0])
@pytest.mark.parametrize(
    ("sigmoid", "value_at_margin"),
    [
        ("gaussian", 0.1),
        ("gaussian", 0.6),
        ("long_tail", 0.1),
        ("linear", 0.0),
        ("linear", 0.5),
        ("quadratic", 0.0),
        ("quadratic", 0.3),
    ],
)
def test_tolerance_equals_dm_controls(
    bounds: tuple[float, float], margin: float, sigmoid: str, value_at_margin: float
) -> None:
    theirs = pytest.importorskip("dm_control.utils.rewards")
    expected = theirs.tolerance(np.float64(np.float32(X)), bounds, margin, sigmoid, value_at_margin)
    ours = jax.jit(lambda x: tolerance(x, bounds, margin, sigmoid, value_at_margin))(jnp.float32(X))
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_tolerance_of_nan_is_not_a_reward() -> None:
    assert not tolerance(jnp.float32(jnp.nan), (0.0, 1.0), 1.0) > 0
    assert tolerance(jnp.float32(jnp.nan), (0.0, 1.0)) == 0

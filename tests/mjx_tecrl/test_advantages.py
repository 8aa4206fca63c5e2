"""GAE over rollouts, against a plain loop."""

import jax
import numpy as np
import pytest

from mjx_tecrl import Rollout
from mjx_tecrl.advantages import gae
from tests.mjx_tecrl.reference import f64

STEPS, WORLDS = 9, 4


def by_loop(reward, value, last_value, rollout, discount, lam):  # type: ignore[no-untyped-def]
    """Each advantage as an explicit sum of TD errors."""
    advantages = np.zeros((STEPS, WORLDS))
    for world in range(WORLDS):
        values = [*f64(value[:, world]), float(last_value[world])]
        for start in range(STEPS):
            total, t = 0.0, start
            while t < STEPS and rollout.valid[t, world]:
                after = 0.0 if rollout.terminated[t, world] else values[t + 1]
                total += (discount * lam) ** (t - start) * (float(reward[t, world]) + discount * after - values[t])
                if rollout.done[t, world]:
                    break
                t += 1
            advantages[start, world] = total
    return advantages


def scene() -> Rollout:
    """World 0 runs on; 1 is cut off in the middle; 2 terminates in the middle, and is cut off at the end; 3 blows up."""
    flags = np.zeros((3, STEPS, WORLDS), bool)
    terminated, done, valid = flags
    valid[:] = True
    done[3, 1] = True
    terminated[4, 2] = done[4, 2] = True
    done[8, 2] = True
    valid[4, 1] = valid[5, 2] = False  # the steps that start an episode
    valid[5, 3] = False
    none = np.zeros((STEPS, WORLDS, 1), np.float32)
    return Rollout(none, none, none[..., 0], terminated, done, valid, none[0])


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in ((STEPS, WORLDS), (STEPS, WORLDS), WORLDS))


@pytest.mark.parametrize(("discount", "lam"), [(0.9, 0.8), (0.99, 1.0), (0.5, 0.0)])
def test_equals_the_plain_loop(discount: float, lam: float) -> None:
    reward, value, last_value = drawn()
    result = jax.jit(gae, static_argnums=(4, 5))(reward, value, last_value, scene(), discount, lam)
    np.testing.assert_allclose(result, by_loop(reward, value, last_value, scene(), discount, lam), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(result[~scene().valid], 0)


def test_a_truncation_is_followed_by_the_value_of_the_final_observation() -> None:
    reward, value, last_value = drawn()
    result = gae(reward, value, last_value, scene(), 0.9, 0.8)
    assert float(result[3, 1]) == pytest.approx(reward[3, 1] + 0.9 * value[4, 1] - value[3, 1], rel=1e-4)
    assert float(result[4, 2]) == pytest.approx(reward[4, 2] - value[4, 2], rel=1e-4)
    assert float(result[8, 2]) == pytest.approx(reward[8, 2] + 0.9 * last_value[2] - value[8, 2], rel=1e-4)


def test_a_row_that_is_no_transition_may_hold_nan() -> None:
    reward, value, last_value = drawn()
    clean = gae(reward, value, last_value, scene(), 0.9, 0.8)
    rollout = scene()
    reward = np.where(rollout.valid, reward, np.nan)
    # Nothing bootstraps from a value after a termination, which may be NaN too.
    value[5, 2] = np.nan
    np.testing.assert_array_equal(gae(reward, value, last_value, rollout, 0.9, 0.8), clean)


def test_nothing_passes_over_a_blow_up() -> None:
    reward, value, last_value = drawn()
    later = reward + (np.arange(STEPS) > 5)[:, None]
    before = gae(reward, value, last_value, scene(), 0.9, 0.8)
    after = gae(later, value, last_value, scene(), 0.9, 0.8)
    np.testing.assert_array_equal(before[:6, 3], after[:6, 3])
    assert np.all(before[:6, 0] != after[:6, 0])

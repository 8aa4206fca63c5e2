"""Per-world exploration noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl.exploration import no_exploration, per_world_noise

WORLDS = 512
NOISE = per_world_noise(0.1, 0.4)
apply = jax.jit(NOISE.apply)


def test_scales_differ_between_worlds_and_fill_the_range() -> None:
    std = np.asarray(NOISE.init(jax.random.key(0), WORLDS))
    assert std.shape == (WORLDS,)
    assert std.min() >= 0.1
    assert std.max() <= 0.4
    counts, _ = np.histogram(std, bins=4, range=(0.1, 0.4))
    assert counts.min() > WORLDS / 8


def test_scales_are_redrawn_exactly_where_an_episode_starts() -> None:
    std = NOISE.init(jax.random.key(0), WORLDS)
    starts = np.arange(WORLDS) % 3 == 0
    _, new = apply(std, jnp.zeros((WORLDS, 2)), starts, jax.random.key(1))
    np.testing.assert_array_equal(np.asarray(new) != np.asarray(std), starts)
    assert ((new >= 0.1) & (new <= 0.4)).all()
    assert len(np.unique(new)) > 0.9 * WORLDS
    # The fresh scale says nothing about the noise that the same key made.
    action, _ = apply(std, jnp.zeros((WORLDS, 2)), starts, jax.random.key(1))
    z = np.asarray(action / std[:, None])[starts, 0]
    assert abs(np.corrcoef(z, np.asarray(new)[starts])[0, 1]) < 0.3


def test_noise_is_added_with_the_worlds_own_scale() -> None:
    std = jnp.linspace(0.1, 0.4, 4)
    keys = jax.random.split(jax.random.key(2), 4000)
    action, _ = jax.jit(jax.vmap(lambda key: NOISE.apply(std, jnp.full((4, 2), 0.1), jnp.zeros(4, bool), key)))(keys)
    assert np.abs(action).max() <= 1
    # The widest scale is clipped at 2.25 standard deviations, which takes about 3 % off.
    np.testing.assert_allclose(action.std(0), np.repeat(std[:, None], 2, 1), rtol=0.05)
    np.testing.assert_allclose(action.mean(0), 0.1, atol=0.03)
    flat = np.asarray(action).reshape(4000, 8)
    np.testing.assert_allclose(np.corrcoef(flat.T), np.eye(8), atol=0.08)


def test_actions_are_clipped() -> None:
    action, _ = apply(jnp.full(WORLDS, 0.4), jnp.ones((WORLDS, 2)), jnp.zeros(WORLDS, bool), jax.random.key(3))
    assert float(action.max()) == 1
    assert np.mean(np.asarray(action) == 1) == pytest.approx(0.5, abs=0.1)
    action, _ = apply(jnp.full(WORLDS, 0.4), -jnp.ones((WORLDS, 2)), jnp.zeros(WORLDS, bool), jax.random.key(3))
    assert float(action.min()) == -1


def test_no_exploration_leaves_actions_as_they_are() -> None:
    rule = no_exploration()
    action = jnp.ones((3, 2))
    new, state = rule.apply(rule.init(jax.random.key(0), 3), action, jnp.ones(3, bool), jax.random.key(1))
    assert new is action
    assert state == ()


@pytest.mark.parametrize("limits", [(-0.1, 0.4), (0.4, 0.1)])
def test_impossible_ranges_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="exploration noise needs 0 <= min <= max"):
        per_world_noise(*limits)

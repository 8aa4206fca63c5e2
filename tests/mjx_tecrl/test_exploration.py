"""Exploration: noise per world, repeated noise, and none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl.exploration import Draw, no_exploration, per_world_noise, repeated_noise

WORLDS = 512
NOISE = per_world_noise(0.1, 0.4)


def always(action: jax.Array) -> Draw:
    """A policy without noise."""
    return lambda key: action


@jax.jit
def apply(std: jax.Array, action: jax.Array, starts_episode: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    return NOISE.apply(std, always(action), starts_episode, key)


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
    # The new scale is independent of the noise from the same key.
    action, _ = apply(std, jnp.zeros((WORLDS, 2)), starts, jax.random.key(1))
    z = np.asarray(action / std[:, None])[starts, 0]
    assert abs(np.corrcoef(z, np.asarray(new)[starts])[0, 1]) < 0.3


def test_noise_is_added_with_the_worlds_own_scale() -> None:
    std = jnp.linspace(0.1, 0.4, 4)
    keys = jax.random.split(jax.random.key(2), 4000)
    action, _ = jax.jit(jax.vmap(lambda key: apply(std, jnp.full((4, 2), 0.1), jnp.zeros(4, bool), key)))(keys)
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
    draw = lambda key: jax.random.normal(key, (3, 2))  # noqa: E731
    new, state = rule.apply(rule.init(jax.random.key(0), 3), draw, jnp.ones(3, bool), jax.random.key(1))
    np.testing.assert_array_equal(new, draw(jax.random.key(1)))
    assert state == ()


def repeats(exponent: float, most: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The noise of a policy in 3 worlds over many steps, and the lengths of the runs in which it stays the same."""
    rule = repeated_noise(exponent, most)
    draw = lambda key: jax.random.normal(key, (3, 2))  # noqa: E731

    def step(state: object, key: jax.Array) -> tuple[object, jax.Array]:
        # Episodes that start do not end a run.
        action, state = rule.apply(state, draw, jax.random.bernoulli(key, 0.3, (3,)), key)
        return state, action

    keys = jax.random.split(jax.random.key(1), steps)
    noise = np.asarray(jax.jit(lambda: jax.lax.scan(step, rule.init(jax.random.key(0), 3), keys)[1])())
    changes = np.flatnonzero((noise[1:] != noise[:-1]).any((1, 2))) + 1
    # All worlds change at the same time, and every number of their noise changes.
    assert (noise[changes] != noise[changes - 1]).all()
    return noise, np.diff(changes)


def test_repeated_noise_stays_the_same_for_a_number_of_steps_from_a_truncated_zeta_distribution() -> None:
    noise, lengths = repeats(2.0, 4, 20_000)
    expected = np.arange(1, 5) ** -2.0
    expected /= expected.sum()
    frequencies = np.bincount(lengths, minlength=5)[1:] / len(lengths)
    assert len(frequencies) == 4
    np.testing.assert_allclose(frequencies, expected, atol=0.015)
    # And it is the policy's own noise.
    assert abs(noise.mean()) < 0.05
    assert noise.std() == pytest.approx(1, abs=0.05)


def test_noise_repeated_for_one_step_is_fresh_on_every_step() -> None:
    _, lengths = repeats(2.0, 1, 100)
    assert (lengths == 1).all()


@pytest.mark.parametrize(("exponent", "most"), [(-1.0, 16), (2.0, 0)])
def test_impossible_repetitions_are_refused(exponent: float, most: int) -> None:
    with pytest.raises(ValueError, match="repeated noise needs an exponent of at least 0 and at least 1 step"):
        repeated_noise(exponent, most)


@pytest.mark.parametrize("limits", [(-0.1, 0.4), (0.4, 0.1)])
def test_impossible_ranges_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="exploration noise needs 0 <= min <= max"):
        per_world_noise(*limits)


def test_scales_of_other_worlds_are_refused() -> None:
    action, starts = jnp.zeros((4, 2)), jnp.zeros(4, bool)
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"the exploration's scale must have the shape \[4\], not \[1\]"):
        NOISE.apply(jnp.ones(1), always(action), starts, key)
    with pytest.raises(ValueError, match=r"starts_episode must have the shape \[4\], not \[1\]"):
        NOISE.apply(jnp.ones(4), always(action), starts[:1], key)
    with pytest.raises(TypeError, match="starts_episode must hold bool, not float32"):
        NOISE.apply(jnp.ones(4), always(action), jnp.zeros(4), key)


def test_each_kind_declares_the_axes_of_its_state() -> None:
    assert NOISE.axes == ("world",)
    assert no_exploration().axes == repeated_noise(2.0, 4).axes == ()

"""Running statistics after very many samples: DLR-RM/stable-baselines3#1953, PR#1954."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl.normalizer import (
    REMEMBERED_UPDATES,
    Normalizer,
    RewardScaler,
    init_normalizer,
    update_normalizer,
    update_reward_scaler,
)


def seen_before(count: float) -> Normalizer:
    """The statistics of ``count`` observations of N(0, 1), as an older version may have left them in a checkpoint."""
    return Normalizer(jnp.float32(count), jnp.zeros(1), jnp.full(1, count, jnp.float32))


@functools.partial(jax.jit, static_argnums=(1, 2))
def feed(start: Normalizer, worlds: int, updates: int, mean: float, std: float) -> Normalizer:
    """More updates, by observations of N(mean, std^2)."""
    seen = jnp.ones(worlds, bool)
    stock = mean + std * jax.random.normal(jax.random.key(0), (2**20 // worlds, worlds, 1))
    return jax.lax.fori_loop(0, updates, lambda i, one: update_normalizer(one, stock[i % len(stock)], seen), start)


@pytest.mark.parametrize(
    ("worlds", "count", "updates"), [(1, 2**24, 2**20), (1, 1e11, 2**20), (16, 2**28, 2**17), (16_384, 1e11, 2**12)]
)
def test_the_spread_stays_right_after_very_many_samples(worlds: int, count: float, updates: int) -> None:
    after = feed(seen_before(count), worlds, updates, 0.0, 1.0)
    assert abs(float(jnp.sqrt(after.squares / after.count)[0]) - 1) < 0.01
    assert abs(float(after.mean[0])) < 0.01


@pytest.mark.parametrize(("worlds", "updates"), [(1, 2**18), (16_384, 2**13)])
def test_the_statistics_still_follow_after_very_many_samples(worlds: int, updates: int) -> None:
    after = feed(seen_before(1e11), worlds, updates, 3.0, 2.0)
    new = 1 - (1 + 1 / REMEMBERED_UPDATES) ** -updates  # the share of what came after the jump
    np.testing.assert_allclose(after.mean[0], 3 * new, rtol=0.01)
    np.testing.assert_allclose(after.squares / after.count, 1 + 3 * new + 9 * new * (1 - new), rtol=0.01)


def test_the_scale_of_rewards_stays_right_after_very_many_samples() -> None:
    # An older version's statistics of 2^24 returns that follow a sine, in one world.
    worlds, never, always = 1, jnp.zeros(1, bool), jnp.ones(1, bool)
    start = RewardScaler(
        jnp.zeros(worlds), Normalizer(jnp.float32(2**24), jnp.zeros(1), jnp.full(1, 2.0**23)), jnp.float32(1)
    )

    def one(i: jax.Array, scaler: RewardScaler) -> RewardScaler:
        return update_reward_scaler(scaler, jnp.sin(jnp.full(worlds, i, jnp.float32)), never, always, 0.0)

    after = jax.jit(lambda scaler: jax.lax.fori_loop(0, 2**20, one, scaler))(start)
    np.testing.assert_allclose(after.scale(jnp.ones(1)), np.sqrt(2), rtol=0.01)


def test_everything_is_remembered_until_then() -> None:
    rng = np.random.default_rng(0)
    obs, normalizer = rng.normal(3, 2, (100, 4, 1)).astype(np.float32), init_normalizer(1)
    for batch in obs:
        normalizer = jax.jit(update_normalizer)(normalizer, batch, np.ones(4, bool))
    assert float(normalizer.count) == 400
    np.testing.assert_allclose(normalizer.squares / normalizer.count, obs.var(), rtol=1e-5)

"""Running statistics of observations and rewards, against numpy over everything seen."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl.normalizer import (
    RewardScaler,
    init_normalizer,
    init_reward_scaler,
    update_normalizer,
    update_reward_scaler,
)

update = jax.jit(update_normalizer)
normalize = jax.jit(lambda normalizer, obs: normalizer.normalize(obs))


def test_statistics_are_those_of_everything_seen() -> None:
    rng = np.random.default_rng(0)
    normalizer, everything = init_normalizer(3), np.zeros((0, 3))
    probe = rng.normal(size=(5, 3)).astype(np.float32)
    for i in range(8):
        obs = (rng.normal(size=(16, 3)) * [1, 10, 0.1] + [0, 100 + i, -3]).astype(np.float32)
        seen = rng.uniform(size=16) < (0.0 if i in (0, 4) else 0.6)
        everything = np.concatenate([everything, obs[seen]])
        obs[~seen] = rng.choice([np.nan, np.inf, 1e30], size=3)
        normalizer = update(normalizer, obs, seen)
        assert int(normalizer.count) == len(everything)
        if len(everything) == 0:
            np.testing.assert_array_equal(normalize(normalizer, probe), probe)
            continue
        np.testing.assert_allclose(normalizer.mean, everything.mean(0), rtol=1e-5, atol=1e-5)
        std = np.sqrt(normalizer.squares / normalizer.count)
        np.testing.assert_allclose(std, everything.std(0), rtol=1e-4, atol=1e-5)
        expected = (probe - everything.mean(0)) / (everything.std(0) + 0.01)
        np.testing.assert_allclose(normalize(normalizer, probe), expected, rtol=1e-3, atol=1e-3)


def test_nothing_seen_changes_nothing() -> None:
    normalizer = update(init_normalizer(2), jnp.array([[1.0, 2.0], [3.0, 5.0]]), jnp.ones(2, bool))
    same = update(normalizer, jnp.full((2, 2), jnp.nan), jnp.zeros(2, bool))
    jax.tree.map(np.testing.assert_array_equal, same, normalizer)


def test_a_large_offset_does_not_cost_the_variance() -> None:
    # The textbook E[x^2] - E[x]^2 would lose it altogether in float32.
    rng = np.random.default_rng(1)
    normalizer = init_normalizer(1)
    everything = (10_000 + rng.normal(size=(50, 64, 1))).astype(np.float32)
    for obs in everything:
        normalizer = update(normalizer, obs, np.ones(64, bool))
    std = float(jnp.sqrt(normalizer.squares / normalizer.count)[0])
    assert abs(std - everything.astype(np.float64).std()) < 0.01


def scaled(rewards: np.ndarray, done: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """A reward of 1, scaled by the statistics of ``[steps, worlds]`` rewards."""
    scaler = init_reward_scaler(rewards.shape[1])
    np.testing.assert_array_equal(scaler.scale(np.float32([3.0])), [3.0])
    update = jax.jit(update_reward_scaler, static_argnums=4)
    for step in zip(np.float32(rewards), done, valid, strict=True):
        scaler = update(scaler, *step, 0.9)
    return np.asarray(jax.jit(lambda s: s.scale(jnp.ones(2)))(scaler))


def by_hand(rewards: np.ndarray, done: np.ndarray, valid: np.ndarray) -> list[float]:
    """All discounted returns so far, one world after the other."""
    returns = []
    for world in range(rewards.shape[1]):
        g = 0.0
        for t in range(len(rewards)):
            if not valid[t, world]:
                g = 0.0
                continue
            g = 0.9 * g + rewards[t, world]
            returns.append(g)
            g = 0.0 if done[t, world] else g
    return returns


def test_rewards_are_divided_by_the_spread_of_discounted_returns() -> None:
    rng = np.random.default_rng(0)
    rewards, done = rng.normal(size=(60, 3)), rng.uniform(size=(60, 3)) < 0.1
    # The row after an end is not valid, nor are some other rows, whose rewards may be anything.
    valid = np.concatenate([np.ones((1, 3), bool), ~done[:-1]]) & (rng.uniform(size=(60, 3)) > 0.05)
    done &= valid
    returns = by_hand(rewards, done, valid)
    assert np.std(returns) > np.abs(returns).max() / 5
    expected = 1 / np.std(returns)
    rewards[~valid] = np.nan
    np.testing.assert_allclose(scaled(rewards, done, valid), expected, rtol=1e-4)


def test_scaled_returns_stay_within_their_bound() -> None:
    rewards = np.zeros((200, 2))
    rewards[7, 1] = -30.0
    none, all_valid = np.zeros((200, 2), bool), np.ones((200, 2), bool)
    returns = by_hand(rewards, none, all_valid)
    assert np.std(returns) < 6
    np.testing.assert_allclose(scaled(rewards, none, all_valid), 5 / 30, rtol=1e-5)


def test_what_would_be_broadcast_or_cast_is_refused() -> None:
    normalizer, obs, seen = init_normalizer(3), jnp.zeros((4, 3)), jnp.ones(4, bool)
    with pytest.raises(ValueError, match=r"obs must have the shape \[any, 3\], not \[4, 1\]"):
        update_normalizer(normalizer, obs[:, :1], seen)
    with pytest.raises(TypeError, match="obs must hold float32, not float64"):
        update_normalizer(normalizer, np.zeros((4, 3)), seen)
    with pytest.raises(ValueError, match=r"seen must have the shape \[4\], not \[1\]"):
        update_normalizer(normalizer, obs, seen[:1])
    with pytest.raises(ValueError, match="obs must be at most 3 wide, as the statistics are, not 4"):
        normalizer.normalize(jnp.zeros((4, 4)))
    scaler, reward = init_reward_scaler(4), jnp.zeros(4)
    with pytest.raises(ValueError, match=r"reward must have the shape \[4\], not \[1\]"):
        update_reward_scaler(scaler, reward[:1], seen, seen, 0.9)
    with pytest.raises(TypeError, match="done must hold bool, not float32"):
        update_reward_scaler(scaler, reward, reward, seen, 0.9)


def test_fields_declare_their_axes() -> None:
    axes = {field.name: field.metadata["axes"] for field in dataclasses.fields(RewardScaler)}
    assert axes == {"returns": ("world",), "moments": (), "largest": ()}

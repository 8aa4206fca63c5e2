"""Worlds that blow up: they are quarantined at once, and the evidence is kept."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.blow_ups import MAX_BLOW_UPS, TRAIL
from envs.finite import is_finite
from tests.envs.counter import Counter, idle, pool_ids, run

POISONS = [float("nan"), float("inf"), float("-inf"), 1e30]
QUANTITIES = ["qpos", "qvel", "obs", "reward"]


def test_a_poisonous_action_on_the_row_that_starts_an_episode_is_not_a_divergence() -> None:
    actions = idle(8, 1).at[3].set(jnp.nan)
    state, rows, stats = run(Counter(terminates_at=3), 1, actions)
    assert stats.diverged.sum() == 0
    assert np.isfinite(rows.obs).all()
    assert np.isfinite(state.worlds.obs).all()


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_world_is_quarantined_at_once(quantity: str, poison: float) -> None:
    actions = idle(6, 4).at[2, 1, QUANTITIES.index(quantity)].set(poison)
    state, rows, stats = run(Counter(), 4, actions)
    clean_state, clean_rows, _ = run(Counter(), 4, idle(6, 4))

    assert rows.valid[:, 1].tolist() == [True, True, False, True, True, True]
    assert rows.obs[2, 1, 1] == 2
    assert rows.obs[3, 1].tolist() == [pool_ids(num_envs=4)[4], 0]  # a fresh start state, on the very next row
    assert not rows.done[2, 1]
    assert not rows.terminated[2, 1]
    assert stats.diverged.tolist() == [0, 0, 1, 0, 0, 0]
    assert stats.valid.tolist() == [4, 4, 3, 4, 4, 4]
    assert stats.episodes.sum() == 0
    assert state.steps[1] == 3
    assert state.returns[1] == 1 + 2 + 3
    for part in (rows.obs, rows.reward, stats.return_sum, *stats.metric_sums.values(), state.returns):
        assert np.isfinite(part).all()

    others = [0, 2, 3]
    clean_rows = dataclasses.replace(clean_rows, action=rows.action)
    for got, expected in zip(jax.tree.leaves(rows), jax.tree.leaves(clean_rows), strict=True):
        np.testing.assert_array_equal(got[:, others], expected[:, others])
    for got, expected in zip(
        jax.tree.leaves((state.worlds.physics, state.returns)),
        jax.tree.leaves((clean_state.worlds.physics, clean_state.returns)),
        strict=True,
    ):
        np.testing.assert_array_equal(got[np.array(others)], expected[np.array(others)])


def test_what_led_to_a_blow_up_is_kept() -> None:
    actions = idle(4, 3).at[1, 2, 0].set(jnp.nan).at[3, 0, 1].set(jnp.inf).at[3, 1, 1].set(jnp.inf)
    state, _, stats = run(Counter(), 3, actions)
    assert stats.diverged.tolist() == [0, 1, 0, 2]
    assert state.blow_ups.count == 2  # at most one per step
    ids = pool_ids(num_envs=3)
    assert state.blow_ups.physics["qpos"][:2].tolist() == [[ids[2], 1], [ids[0], 3]]
    np.testing.assert_array_equal(state.blow_ups.action[0], [np.nan, 0, 0, 0])
    np.testing.assert_array_equal(state.blow_ups.action[1], [0, np.inf, 0, 0])


def test_the_evidence_is_a_ring_of_the_last() -> None:
    steps = MAX_BLOW_UPS + 3
    actions = idle(steps, 2).at[:, 1, 3].set(jnp.nan)
    state, _, _ = run(Counter(), 2, actions)
    assert state.blow_ups.count == steps
    last = pool_ids(num_envs=2)[np.r_[1, 2 : steps + 1]][-MAX_BLOW_UPS:]
    assert set(state.blow_ups.physics["qpos"][:, 0].tolist()) == set(last.tolist())


@dataclasses.dataclass(frozen=True)
class Shaky(Counter):
    """Start states whose id is below ``bad`` have no finite observation; actions do nothing."""

    bad: float = 0.0

    def reset(self, key: jax.Array) -> envs.State:
        state = super().reset(key)
        return dataclasses.replace(state, obs=jnp.where(state.obs[0] < self.bad, jnp.nan, state.obs))

    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        return super().step(state, jnp.zeros(4))


def test_bad_start_states_never_enter() -> None:
    env, vector = Shaky(terminates_at=1, bad=0.5), envs.VectorEnv(Shaky(bad=0.5), 4, 32)
    state, rows, stats = run(env, 4, idle(8, 4), pool_size=32)
    assert np.isfinite(rows.obs).all()
    assert np.isfinite(state.pool.obs).all()
    assert stats.diverged.sum() == 0
    ids = pool_ids(32, 4)
    assert (ids < 0.5).sum() > 5
    np.testing.assert_array_equal(state.pool.obs[:, 0], np.where(ids < 0.5, ids[np.argmax(ids >= 0.5)], ids))

    # When the pool is refilled, an old start state stays where the new one is bad, even if all new ones are.
    draw_starts = jax.jit(vector.draw_starts)
    for seed in range(1, 4):
        new = draw_starts(jax.random.key(seed))
        refilled = vector.refill_pool(state, new)
        np.testing.assert_array_equal(refilled.pool.obs, np.where(np.isnan(new.obs), state.pool.obs, new.obs))
    new = jax.jit(envs.VectorEnv(Shaky(bad=2.0), 4, 32).draw_starts)(jax.random.key(1))
    np.testing.assert_array_equal(vector.refill_pool(state, new).pool.obs, state.pool.obs)


@pytest.mark.parametrize("poison", POISONS)
def test_an_action_that_is_no_number_is_a_divergence_even_if_the_task_overlooks_it(poison: float) -> None:
    state, rows, stats = run(Shaky(), 3, idle(4, 3).at[1, 2, 3].set(poison))
    assert stats.diverged.tolist() == [0, 1, 0, 0]
    assert rows.valid[1].tolist() == [True, True, False]
    assert np.isfinite(rows.action).all()
    assert (np.abs(rows.action) <= 1).all()
    assert not np.abs(state.blow_ups.action[0, 3]) <= 1  # the evidence shows it


def test_the_evidence_says_where_from_and_what_was_before() -> None:
    steps = TRAIL + 5
    state, _, _ = run(Counter(), 3, idle(steps, 3).at[[3, steps - 1], [1, 2], 0].set(jnp.nan))
    blow_ups = state.blow_ups
    assert blow_ups.world[:2].tolist() == [1, 2]
    assert blow_ups.steps[:2].tolist() == [3, steps - 1]
    assert blow_ups.kept == 2
    assert blow_ups.trail.shape == (MAX_BLOW_UPS, TRAIL, 0)  # the counter's physics is a dict


def test_a_native_trail_holds_the_last_positions() -> None:
    env = envs.make("swimmer", physics="native")
    vector = envs.VectorEnv(env, 2, 2)
    step, steps = jax.jit(vector.step), TRAIL + 3
    state = jax.jit(lambda key: vector.reset(vector.draw_starts(key)))(jax.random.key(0))
    before = []
    for t in range(steps):
        before.append(np.asarray(state.worlds.physics.qpos[1]))
        state, _, _ = step(state, jnp.full((2, 2), 0.1).at[1].set(jnp.where(t == steps - 1, jnp.nan, 0.5)))
    assert int(state.blow_ups.count) == 1
    np.testing.assert_array_equal(state.blow_ups.trail[0], before[-TRAIL:])
    np.testing.assert_array_equal(state.blow_ups.physics.qpos[0], before[-1])


def test_is_finite_looks_at_floats_and_not_at_counters_or_keys() -> None:
    worlds = jax.vmap(Counter().reset)(jax.random.split(jax.random.key(0), 3))
    assert is_finite(worlds).all()
    worlds = dataclasses.replace(worlds, info=worlds.info | {"memory": jnp.array([[0.0, 0.0], [0.0, jnp.nan], [1.0, 2.0]])})
    assert is_finite(worlds).tolist() == [True, False, True]


@pytest.mark.parametrize("field", ["qpos", "qvel"])
@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_native_world_leaves_the_others_bit_identical(
    field: str, poison: float, cheetahs: tuple[Any, Any, jax.Array]
) -> None:
    step, clean, actions = cheetahs
    physics = clean.worlds.physics
    bad = dataclasses.replace(physics, **{field: getattr(physics, field).at[3].set(poison)})
    poisoned = dataclasses.replace(clean, worlds=dataclasses.replace(clean.worlds, physics=bad))

    others = np.array([0, 1, 2, 4, 5])
    for t, action in enumerate(actions):
        poisoned, row, stats = step(poisoned, action)
        clean, clean_row, _ = step(clean, action)
        assert stats.diverged == (t == 0)
        assert row.valid.tolist() == [True, True, True, t > 0, True, True]
        assert all(np.isfinite(x) for x in stats.metric_sums.values())
        for got, expected in zip(
            jax.tree.leaves((row, poisoned.worlds)), jax.tree.leaves((clean_row, clean.worlds)), strict=True
        ):
            np.testing.assert_array_equal(got[others], expected[others])
    assert poisoned.steps.tolist() == [5, 5, 5, 4, 5, 5]


@pytest.fixture(scope="module")
def cheetahs() -> tuple[Any, Any, jax.Array]:
    """A jitted vector step of six half-cheetahs, worlds that have moved a little, and five actions to go on with."""
    vector = envs.VectorEnv(envs.make("half_cheetah", physics="native"), 6, 12)
    step = jax.jit(vector.step)
    actions = jax.random.uniform(jax.random.key(1), (8, 6, 6), minval=-1.0)
    state = jax.jit(lambda key: vector.reset(vector.draw_starts(key)))(jax.random.key(0))
    for action in actions[:3]:
        state, _, _ = step(state, action)
    return step, dataclasses.replace(state, steps=jnp.zeros_like(state.steps)), actions[3:]

"""`VectorEnv`: autoreset, time limits, the pool of start states."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.blow_ups import TRAIL
from tests.envs.counter import Counter, idle, pool_ids, run


def test_the_final_observation_survives_in_the_row_after_the_end() -> None:
    _, rows, _ = run(Counter(terminates_at=3), 1, idle(8, 1))
    first, second = pool_ids()[:2]
    expected = [[first, t] for t in range(4)] + [[second, t] for t in range(4)]
    np.testing.assert_array_equal(rows.obs[:, 0], np.float32(expected))
    assert rows.done[:, 0].tolist() == [False, False, True, False] * 2
    assert rows.terminated[:, 0].tolist() == [False, False, True, False] * 2


def test_the_row_that_starts_an_episode_is_not_valid_and_ignores_the_action() -> None:
    actions = idle(8, 1).at[3].set(7.0)
    _, rows, _ = run(Counter(terminates_at=3), 1, actions)
    assert rows.valid[:, 0].tolist() == [True, True, True, False] * 2
    assert rows.reward[:, 0].tolist() == [1, 2, 3, 0] * 2


def test_the_time_limit_ends_without_terminating() -> None:
    _, rows, stats = run(Counter(episode_length=3), 1, idle(8, 1))
    assert rows.done[:, 0].tolist() == [False, False, True, False] * 2
    assert not rows.terminated.any()
    assert rows.obs[3, 0, 1] == 3  # the observation in which the limit cut the episode off
    assert stats.episodes.sum() == 2


def test_an_end_and_the_time_limit_on_one_step_stay_an_end() -> None:
    _, rows, stats = run(Counter(terminates_at=3, episode_length=3), 1, idle(4, 1))
    assert rows.terminated[:, 0].tolist() == [False, False, True, False]
    assert rows.done[:, 0].tolist() == [False, False, True, False]
    assert stats.episodes.sum() == 1


def test_a_truncation_by_the_env_itself_is_done_and_not_terminated() -> None:
    _, rows, _ = run(Counter(truncates_at=2), 1, idle(3, 1))
    assert rows.done[:, 0].tolist() == [False, True, False]
    assert not rows.terminated.any()


def test_statistics_count_whole_episodes() -> None:
    _, _, stats = run(Counter(terminates_at=3), 5, idle(11, 5))
    assert stats.episodes.tolist() == [0, 0, 5, 0] * 2 + [0, 0, 5]
    assert stats.return_sum.sum() == 15 * (1 + 2 + 3)
    assert stats.length_sum.sum() == 15 * 3
    assert stats.valid.tolist() == [5, 5, 5, 0, 5, 5, 5, 0, 5, 5, 5]


def test_start_states_are_used_in_order_and_none_twice() -> None:
    _, rows, _ = run(Counter(terminates_at=2), 4, idle(18, 4), pool_size=24)
    starts = rows.obs[rows.obs[..., 1] == 0][:, 0]  # row by row, world by world
    np.testing.assert_array_equal(starts, pool_ids(24, 4))
    assert len(set(starts.tolist())) == 24


def test_a_pool_that_is_used_up_starts_over() -> None:
    _, rows, _ = run(Counter(terminates_at=1), 3, idle(6, 3), pool_size=5)
    starts = rows.obs[rows.obs[..., 1] == 0][:, 0]
    np.testing.assert_array_equal(starts, np.tile(pool_ids(5, 3), 2)[: len(starts)])


def test_a_pool_holds_at_least_one_state_per_world() -> None:
    assert envs.VectorEnv(Counter(), 7, 1).draw_starts(jax.random.key(0)).obs.shape == (7, 2)


def test_refilling_replaces_the_pool_and_not_the_worlds() -> None:
    vector = envs.VectorEnv(Counter(terminates_at=1), 2, 8)

    @jax.jit
    def run(first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = vector.refill_pool(vector.reset(vector.draw_starts(first)), vector.draw_starts(second))
        before = state.worlds.obs
        for _ in range(2):
            state, _, _ = vector.step(state, jnp.zeros((2, 4)))
        return before, state.worlds.obs

    before, after = run(jax.random.key(0), jax.random.key(1))
    np.testing.assert_array_equal(before[:, 0], pool_ids(8, 2)[:2])
    np.testing.assert_array_equal(after[:, 0], pool_ids(8, 2, seed=1)[:2])


def test_some_worlds_start_an_episode_at_once() -> None:
    vector = envs.VectorEnv(Counter(), 3, 64)
    state = vector.reset(vector.draw_starts(jax.random.key(0)))
    before, _, _ = vector.step(state, jnp.zeros((3, 4)))
    after = vector.start_episodes(before, jnp.array([True, False, True]))
    fresh = pool_ids(num_envs=3)[3:5]
    np.testing.assert_array_equal(after.worlds.obs[:, 0], [fresh[0], before.worlds.obs[1, 0], fresh[1]])
    assert after.steps.tolist() == [0, 1, 0]
    assert after.returns.tolist() == [0, 1, 0]
    assert after.pool_used == 5


def test_metrics_sum_over_valid_worlds_and_never_become_nan() -> None:
    actions = idle(4, 3).at[2, 1, 3].set(jnp.nan)
    _, _, stats = run(Counter(), 3, actions)
    assert stats.metric_sums["reward"].tolist() == [3, 6, 6, 9]
    assert stats.metric_sums["reward"][3] == 4 + 1 + 4
    assert stats.metric_sums["shaky"].tolist() == [3, 0, 2, 3]  # its NaN on the second step is left out


def test_a_native_episode_that_ends_starts_afresh() -> None:
    env = envs.make("inverted_pendulum", physics="native")
    actions = jnp.ones((40, 3, 1))  # pushes the cart away: the pole falls
    _, rows, stats = run(env, 3, actions)
    assert stats.episodes.sum() >= 3
    assert stats.diverged.sum() == 0
    after = np.roll(rows.done, 1, axis=0)
    np.testing.assert_array_equal(rows.valid[1:], ~after[1:])
    assert (np.abs(rows.obs[1:][after[1:]][:, 1]) > 0.2).all()  # the true final observation: a pole that fell
    starts = rows.obs[2:][after[1:-1]]
    assert (np.abs(starts) <= 0.01).all()
    assert len(np.unique(starts[:, 0])) == len(starts)


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (jax.ShapeDtypeStruct((4,), jnp.float32), r"float32 of shape \(3, 4\), not float32 of shape \(4,\)"),
        (jax.ShapeDtypeStruct((1, 4), jnp.float32), r"not float32 of shape \(1, 4\)"),
        (jax.ShapeDtypeStruct((3, 1), jnp.float32), r"not float32 of shape \(3, 1\)"),
        (jax.ShapeDtypeStruct((3, 4), jnp.int32), r"not int32 of shape \(3, 4\)"),
        (jax.ShapeDtypeStruct((3, 4), jnp.bfloat16), r"not bfloat16 of shape \(3, 4\)"),
    ],
)
def test_actions_that_would_be_broadcast_or_cast_are_refused(actions: Any, said: str) -> None:
    vector = envs.VectorEnv(Counter(), 3, 8)
    state = jax.eval_shape(lambda key: vector.reset(vector.draw_starts(key)), jax.random.key(0))
    jax.eval_shape(vector.step, state, jax.ShapeDtypeStruct((3, 4), jnp.float32))
    with pytest.raises(ValueError, match=f"actions must be .*{said}"):
        jax.eval_shape(vector.step, state, actions)


def test_every_field_declares_the_leading_axes_of_its_arrays() -> None:
    vector = envs.VectorEnv(envs.make("hopper", physics="native"), 5, 9)
    state = jax.eval_shape(lambda key: vector.reset(vector.draw_starts(key)), jax.random.key(0))
    sizes = {"world": 5, "time": TRAIL}
    for field in dataclasses.fields(envs.VectorState):
        leading = tuple(sizes[axis] for axis in field.metadata["axes"])
        for x in jax.tree.leaves(getattr(state, field.name)):
            assert x.shape[: len(leading)] == leading, field.name
            assert leading or 5 not in x.shape, field.name  # a field of all worlds must say so


@pytest.mark.parametrize("num_envs", [0, -1])
def test_there_must_be_a_world(num_envs: int) -> None:
    with pytest.raises(ValueError, match=f"num_envs must be at least 1, not {num_envs}"):
        envs.VectorEnv(Counter(), num_envs, 4)

"""`VectorEnv`: autoreset, time limits, the pool of start states, quarantine."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.blow_ups import MAX_BLOW_UPS, TRAIL
from envs.finite import is_finite

POISONS = [float("nan"), float("inf"), float("-inf"), 1e30]
QUANTITIES = ["qpos", "qvel", "obs", "reward"]


@dataclasses.dataclass(frozen=True)
class Counter:
    """Counts its steps: ``obs`` is ``[id of the start state, steps]``, the reward is 1 + steps.

    The action ``[4]`` is added to qpos, qvel, obs and reward, so that each can be poisoned on its own.
    """

    terminates_at: int = 1000
    episode_length: int = 1000
    truncates_at: int = 1000
    name: str = "counter"
    obs_size: int = 2
    action_size: int = 4

    def reset(self, key: jax.Array) -> envs.State:
        obs = jnp.stack([jax.random.uniform(key), jnp.zeros(())])
        return self._state(obs, jnp.zeros(4), jnp.zeros(()), key)

    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        obs = state.physics["qpos"] + jnp.array([0.0, 1.0])
        return self._state(obs, action, obs[1], state.info["key"])

    def _state(self, obs: jax.Array, poison: jax.Array, reward: jax.Array, key: jax.Array) -> envs.State:
        return envs.State(
            physics={"qpos": obs + poison[0], "qvel": jnp.ones(1) + poison[1], "contacts": jnp.zeros((), jnp.int32)},
            obs=obs + poison[2],
            reward=reward + poison[3],
            terminated=obs[1] >= self.terminates_at,
            truncated=obs[1] >= self.truncates_at,
            metrics={"reward": reward + poison[3], "shaky": jnp.where(obs[1] == 2, jnp.nan, 1.0)},
            info={"key": key},
        )


def run(env: Any, num_envs: int, actions: jax.Array, pool_size: int = 64, seed: int = 0) -> tuple[Any, Any, Any]:
    """Final state, rows ``[steps, worlds]`` and statistics of a run from fresh worlds under ``actions``."""
    return jax.device_get(_runner(env, num_envs, pool_size)(jax.random.key(seed), actions))


@functools.cache
def _runner(env: Any, num_envs: int, pool_size: int) -> Any:
    vector = envs.VectorEnv(env, num_envs, pool_size)

    def step(state: envs.VectorState, action: jax.Array) -> tuple[envs.VectorState, Any]:
        state, row, stats = vector.step(state, action)
        return state, (row, stats)

    def rollout(key: jax.Array, actions: jax.Array) -> tuple[envs.VectorState, Any, Any]:
        state, (rows, stats) = jax.lax.scan(step, vector.reset(vector.draw_starts(key)), actions)
        return state, rows, stats

    return jax.jit(rollout)


def idle(steps: int, num_envs: int) -> jax.Array:
    return jnp.zeros((steps, num_envs, 4))


@functools.cache
def pool_ids(pool_size: int = 64, num_envs: int = 1, seed: int = 0) -> np.ndarray:
    draw = jax.jit(envs.VectorEnv(Counter(), num_envs, pool_size).draw_starts)
    return np.asarray(draw(jax.random.key(seed)).obs[:, 0])


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


def test_a_poisonous_action_on_the_row_that_starts_an_episode_is_not_a_divergence() -> None:
    actions = idle(8, 1).at[3].set(jnp.nan)
    state, rows, stats = run(Counter(terminates_at=3), 1, actions)
    assert stats.diverged.sum() == 0
    assert np.isfinite(rows.obs).all()
    assert np.isfinite(state.worlds.obs).all()


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
    for seed in range(1, 4):
        new = jax.jit(vector.draw_starts)(jax.random.key(seed))
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


def test_metrics_sum_over_valid_worlds_and_never_become_nan() -> None:
    actions = idle(4, 3).at[2, 1, 3].set(jnp.nan)
    _, _, stats = run(Counter(), 3, actions)
    assert stats.metric_sums["reward"].tolist() == [3, 6, 6, 9]
    assert stats.metric_sums["reward"][3] == 4 + 1 + 4
    assert stats.metric_sums["shaky"].tolist() == [3, 0, 2, 3]  # its NaN on the second step is left out


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

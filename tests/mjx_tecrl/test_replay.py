"""The replay ring, against a plain Python list of rows per world."""

import dataclasses
import functools
import warnings
from typing import Any, NamedTuple

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import strategies as st

from mjx_tecrl import Batch
from mjx_tecrl.replay import Replay, init_replay, insert, sample

WORLDS, BATCH, GAMMA = 2, 128, 0.5


class Row(NamedTuple):
    """What the ring stores; any pytree with these fields will do."""

    obs: Any
    action: Any
    reward: Any
    terminated: Any
    done: Any
    valid: Any


def make_row(t: int, kinds: str) -> Row:
    """Row ``t`` of every world; a kind is one of "." (goes on), "T" (terminated), "C" (cut off), "x" (no transition).

    ``obs`` is [world, t], unique; powers of two make sums of rewards tell which were summed.
    """
    n = len(kinds)
    flag = lambda chosen: np.array([kind in chosen for kind in kinds])  # noqa: E731
    reward = np.where(flag("x"), np.nan, 2.0 ** (t % 20) * (1 + np.arange(n)))
    return Row(
        obs=np.stack([np.arange(n), np.full(n, t)], -1).astype(np.float32),
        action=np.full((n, 1), -t, np.float32),
        reward=reward.astype(np.float32),
        terminated=flag("T"),
        done=flag("TC"),
        valid=~flag("x"),
    )


insert_jit = jax.jit(insert)
sample_jit = jax.jit(sample, static_argnums=(2, 3, 4))


def filled(capacity: int, rows: list[str]) -> Replay:
    replay = init_replay(make_row(0, "." * WORLDS), capacity)
    for t, kinds in enumerate(rows):
        replay = insert_jit(replay, make_row(t, kinds))
    return replay


def expected(rows: list[str], t: int, world: int, n_step: int) -> tuple[float, float, int, float]:
    """Reward, discount, time of the next observation and weight of a window, by walking a list."""
    newest = len(rows) - 1
    if rows[t][world] == "x":
        return 0.0, 1.0, t, 0.0
    reward, k = 0.0, 0
    while True:
        kind = rows[t + k][world]
        reward += GAMMA**k * 2.0 ** ((t + k) % 20) * (1 + world)
        k += 1
        if kind == "T":
            return reward, 0.0, t + k, 1.0
        if kind == "C" or k == n_step or t + k == newest or rows[t + k][world] == "x":
            return reward, GAMMA**k, t + k, 1.0


def check_against_list(batch: Batch, rows: list[str], capacity: int, n_step: int) -> None:
    oldest, newest = max(0, len(rows) - capacity), len(rows) - 1
    for i in range(BATCH):
        world, t = (int(x) for x in batch.obs[i])
        assert oldest <= t < newest
        reward, discount, t_next, weight = expected(rows, t, world, n_step)
        assert float(batch.weight[i]) == weight
        assert float(batch.reward[i]) == pytest.approx(reward)
        assert float(batch.discount[i]) == pytest.approx(discount)
        assert batch.next_obs[i].tolist() == [world, t_next]
        assert batch.action[i].tolist() == [-t]
        if n_step == 1:
            assert batch.one_step is None
            continue
        _, discount, t_next, _ = expected(rows, t, world, 1)
        assert batch.one_step is not None
        assert batch.one_step[1][i].tolist() == [world, t_next]
        assert not weight or float(batch.one_step[0][i]) == pytest.approx(discount)


histories = st.lists(st.text("....TCx", min_size=WORLDS, max_size=WORLDS), min_size=2, max_size=14)


@hypothesis.settings(deadline=None, derandomize=True, max_examples=60)
@hypothesis.given(rows=histories, capacity=st.sampled_from([2, 5, 8]), n_step=st.integers(1, 5), seed=st.integers(0, 99))
def test_samples_equal_those_of_a_list(rows: list[str], capacity: int, n_step: int, seed: int) -> None:
    batch = sample_jit(filled(capacity, rows), jax.random.key(seed), BATCH, n_step, GAMMA)
    check_against_list(jax.device_get(batch), rows, capacity, n_step)


@pytest.mark.parametrize("n_step", [1, 2, 3, 5])
def test_windows_stop_where_they_must(n_step: int) -> None:
    # Terminated, cut off, and blown up in the middle; the reset row follows each end. The ring has wrapped.
    rows = ["..", "..", ".T", ".x", "T.", "xC", ".x", "x.", "..", "..", ".."]
    batch = sample_jit(filled(8, rows), jax.random.key(0), BATCH, n_step, GAMMA)
    check_against_list(jax.device_get(batch), rows, 8, n_step)


def test_every_row_but_the_newest_is_drawn_equally_often() -> None:
    rows = [".."] * 9
    replay = filled(6, rows)
    batch = jax.device_get(sample_jit(replay, jax.random.key(0), 20_000, 1, GAMMA))
    counts = {
        (world, t): int(((batch.obs[:, 0] == world) & (batch.obs[:, 1] == t)).sum())
        for world in range(WORLDS)
        for t in range(9)
    }
    drawn = {place: n for place, n in counts.items() if n}
    assert set(drawn) == {(world, t) for world in range(WORLDS) for t in range(3, 8)}
    assert scipy.stats.chisquare(list(drawn.values())).pvalue > 1e-4


@pytest.mark.parametrize("rows", [[], [".."]])
def test_nothing_is_drawn_before_there_are_two_rows(rows: list[str]) -> None:
    # The observation after the only row is not known: it would be read from the ring's initial zeros.
    batch = sample_jit(filled(5, rows), jax.random.key(0), BATCH, 1, GAMMA)
    assert not np.any(batch.weight)
    assert not np.any(batch.reward)


def test_observations_are_stored_once() -> None:
    replay = filled(5, [".."] * 3)
    assert [leaf.shape for leaf in jax.tree.leaves(replay.rows.obs)] == [(5, WORLDS, 2)]
    assert replay.capacity == 5
    assert int(replay.size) == 3
    # obs 8, action 4, reward 4 and three flags of one byte each: 19 bytes per world and row.
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(replay.rows)) == 5 * WORLDS * 19


def test_one_program_serves_all_fillings_in_place() -> None:
    traces = 0

    @functools.partial(jax.jit, donate_argnums=0)
    def step(replay: Replay, row: Row) -> tuple[Replay, Batch]:
        nonlocal traces
        traces += 1
        replay = insert(replay, row)
        return replay, sample(replay, jax.random.key(0), 4, 3, GAMMA)

    replay = init_replay(make_row(0, ".."), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a buffer that could not be donated warns
        for t in range(8):
            previous = replay
            replay, _ = step(replay, make_row(t, ".."))
            assert all(leaf.is_deleted() for leaf in jax.tree.leaves(previous.rows))
    assert traces == 1
    assert int(replay.head) == 8 % 3
    assert int(replay.size) == 3
    np.testing.assert_array_equal(replay.rows.obs[:, 0, 1], [6, 7, 5])


@pytest.mark.parametrize("capacity", [1, 0, -3])
def test_a_ring_too_small_for_a_transition_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"at least 2 steps of every world, not {capacity}"):
        init_replay(make_row(0, ".."), capacity)


ROW = make_row(0, "..")


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (ROW._replace(reward=ROW.reward[:1]), ValueError, r"the row.reward must have the shape \[2\], not \[1\]"),
        (ROW._replace(obs=ROW.obs[0]), ValueError, r"the row.obs must have the shape \[2, 2\], not \[2\]"),
        (ROW._replace(reward=np.float64(ROW.reward)), TypeError, "the row.reward must hold float32, not float64"),
        (ROW._replace(action=np.zeros((2, 1), int)), TypeError, "the row.action must hold float32, not int64"),
        (ROW._replace(done=np.zeros(2, np.float32)), TypeError, "the row.done must hold bool, not float32"),
        (ROW._replace(reward=0.0), TypeError, "the row.reward must be an array of float32, not float"),
        (ROW._replace(reward=None), ValueError, "the row lacks the field reward"),
        (ROW._replace(obs={"state": ROW.obs}), ValueError, "the row lacks the field obs"),
    ],
)
def test_a_row_that_would_be_broadcast_or_cast_is_refused(row: Row, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        insert(init_replay(ROW, 3), row)


def test_a_row_with_more_fields_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the row has a field \['cost'\], which nothing holds"):
        insert(Replay({"reward": jnp.zeros((3, 2))}, jnp.int32(0), jnp.int32(0)), {"reward": ROW.reward, "cost": ROW.reward})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (ROW._replace(obs=ROW.obs[0]), ValueError, r"the row's obs must have the shape \[any, any\], not \[2\]"),
        (ROW._replace(action=ROW.action[:, 0]), ValueError, r"the row's action must have the shape \[2, any\], not \[2\]"),
        (ROW._replace(reward=ROW.reward[:, None]), ValueError, r"the row's reward must have the shape \[2\], not \[2, 1\]"),
        (ROW._replace(valid=np.ones(2, np.float32)), TypeError, "the row's valid must hold bool, not float32"),
    ],
)
def test_a_ring_of_other_rows_is_refused(row: Row, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        init_replay(row, 3)


@pytest.mark.parametrize(("batch_size", "n_step"), [(0, 1), (4, 0)])
def test_samples_of_nothing_are_refused(batch_size: int, n_step: int) -> None:
    with pytest.raises(ValueError, match=f"must be at least 1, not {batch_size} and {n_step}"):
        sample(init_replay(ROW, 3), jax.random.key(0), batch_size, n_step, GAMMA)


def test_fields_declare_their_axes() -> None:
    metadata = {field.name: dict(field.metadata) for field in dataclasses.fields(Replay)}
    shared = {"axes": (), "seeds": "shared"}
    assert metadata == {"rows": {"axes": ("time", "world")}, "head": shared, "size": shared}


def test_dtypes_are_kept() -> None:
    row = jax.tree.map(jnp.asarray, make_row(0, ".."))
    replay = insert_jit(init_replay(row, 3), row)
    assert [x.dtype for x in jax.tree.leaves(replay.rows)] == [x.dtype for x in jax.tree.leaves(row)]

"""The replay ring on the device. It is time-major, stores each observation once, and walks n-step windows when sampled.

Row t of a world holds what happened on one step. The observation that followed is the observation of row t + 1. Every world
writes a row on every vector step, so that one pointer serves all worlds.
"""

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from mjx_tecrl.checks import check_array, check_like
from mjx_tecrl.types import Batch


class Rows(Protocol):
    """One row per world, as ``envs.Row`` is. ``obs``, ``action`` and ``reward`` are float32, the other fields bool."""

    @property
    def obs(self) -> jax.Array:
        """``[worlds, obs_size]`` before the step."""

    @property
    def action(self) -> jax.Array:
        """``[worlds, action_size]``."""

    @property
    def reward(self) -> jax.Array:
        """``[worlds]``."""

    @property
    def terminated(self) -> jax.Array:
        """``[worlds]`` the value of what follows is 0."""

    @property
    def done(self) -> jax.Array:
        """``[worlds]`` the episode ended, and so does every window."""

    @property
    def valid(self) -> jax.Array:
        """``[worlds]`` the row is a real transition."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Replay:
    """The ring.

    Attributes:
      rows: `Rows` with leading axes ``[capacity, worlds]``.
      head: [] int32 index of the next row to write.
      size: [] int32 rows held, at most the capacity.
    """

    rows: Any = dataclasses.field(metadata={"axes": ("time", "world")})
    head: jax.Array = dataclasses.field(metadata={"axes": (), "seeds": "shared"})
    size: jax.Array = dataclasses.field(metadata={"axes": (), "seeds": "shared"})

    @property
    def capacity(self) -> int:
        """Rows per world."""
        return jax.tree.leaves(self.rows)[0].shape[0]


def init_replay(example: Any, capacity: int) -> Replay:
    """An empty ring for ``capacity`` rows per world.

    Args:
      example: one `Rows`, or its shapes and dtypes, with the leading axis ``[worlds]``.
      capacity: rows per world.

    Raises:
      TypeError, ValueError: an example that is not as `Rows` says.
      ValueError: a capacity below two rows, which hold no transition.
    """
    check_array("the row's obs", example.obs, (None, None))
    worlds = example.obs.shape[0]
    check_array("the row's action", example.action, (worlds, None))
    check_array("the row's reward", example.reward, (worlds,))
    for name in ("terminated", "done", "valid"):
        check_array(f"the row's {name}", getattr(example, name), (worlds,), bool)
    if capacity < 2:
        raise ValueError(f"the replay must hold at least 2 steps of every world, not {capacity}")
    rows = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape), x.dtype), example)
    return Replay(rows, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def insert(replay: Replay, rows: Rows) -> Replay:
    """Writes one more row per world, over the oldest one when the ring is full. Takes constant time.

    Raises:
      TypeError, ValueError: rows with other fields, shapes or dtypes than the ring holds; nothing is broadcast or cast.
    """
    check_like("the row", rows, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), replay.rows))
    return Replay(
        rows=jax.tree.map(lambda ring, row: ring.at[replay.head].set(row), replay.rows, rows),
        head=(replay.head + 1) % replay.capacity,
        size=jnp.minimum(replay.size + 1, replay.capacity),
    )


def sample(replay: Replay, key: jax.Array, batch_size: int, n_step: int, discount: float) -> Batch:
    """Draws ``batch_size`` transitions uniformly with replacement from all worlds. Takes constant time.

    A window walks up to ``n_step`` rows. It ends early at an episode's end, before a row that is not valid, and at the
    newest observation. Its bootstrap factor is that of the steps walked. A window that starts in a row that is not valid
    gets weight 0. The newest row is not drawn, because the observation that followed it is not known yet.

    Raises:
      ValueError: a batch without a transition, or windows without a step.
    """
    if batch_size < 1 or n_step < 1:
        raise ValueError(f"batch_size and n_step must be at least 1, not {batch_size} and {n_step}")
    key_time, key_world = jax.random.split(key)
    rows, capacity = replay.rows, replay.capacity
    worlds = jax.random.randint(key_world, (batch_size,), 0, rows.reward.shape[1])
    age = jax.random.randint(key_time, (batch_size,), 0, jnp.maximum(replay.size - 1, 1))
    oldest = replay.head - replay.size

    def at(field: jax.Array, step: int | jax.Array) -> jax.Array:
        return field[(oldest + age + step) % capacity, worlds]

    # The newest row does not count, even where it is the only one and so the only one to draw.
    walking = at(rows.valid, 0) & (replay.size > 1)
    weight = walking.astype(jnp.float32)
    reward = jnp.zeros(batch_size)
    terminated = jnp.zeros(batch_size, bool)
    walked = jnp.zeros(batch_size, jnp.int32)
    for step in range(n_step):
        if step:
            # The row after this one must exist: its observation is the one to bootstrap from.
            walking &= ~at(rows.done, step - 1) & (age + step < replay.size - 1) & at(rows.valid, step)
        reward += jnp.where(walking, discount**step * at(rows.reward, step), 0.0)
        terminated |= walking & at(rows.terminated, step)
        walked += walking
    first = jnp.where(at(rows.terminated, 0), 0.0, discount), at(rows.obs, jnp.minimum(walked, 1))
    return Batch(
        obs=at(rows.obs, 0),
        action=at(rows.action, 0),
        reward=reward,
        discount=jnp.where(terminated, 0.0, discount ** walked.astype(jnp.float32)),
        next_obs=at(rows.obs, walked),
        weight=weight,
        one_step=None if n_step == 1 else first,
    )

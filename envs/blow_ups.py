"""Evidence of blow-ups: what led to the last worlds whose physics stopped being finite."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from envs.base import State

MAX_BLOW_UPS = 8
"""Number of blow-ups that are kept as evidence."""

TRAIL = 16
"""Number of past steps of which every world's positions are kept, so that a film can show what led to a blow-up."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BlowUps:
    """Evidence of the last `MAX_BLOW_UPS` blow-ups, from which each can be replayed.

    At most one blow-up per vector step is recorded. All arrays but ``count`` are rings: the next blow-up is written at
    index ``count % MAX_BLOW_UPS``.

    Attributes:
      physics: ``[MAX_BLOW_UPS, ...]`` physics states from which one step led to a blow-up.
      info: ``[MAX_BLOW_UPS, ...]`` the `State.info` that belongs to them; it holds the world's own model, if it has one.
      action: ``[MAX_BLOW_UPS, action_size]`` the actions of those steps; not finite where the policy was the cause.
      world: ``[MAX_BLOW_UPS]`` int32 the worlds' indices.
      steps: ``[MAX_BLOW_UPS]`` int32 environment steps since the episode's start.
      trail: ``[MAX_BLOW_UPS, TRAIL, nq]`` positions before each of the last `TRAIL` steps, oldest first; the last one is the
        step that blew up. Positions from before the episode's start belong to the previous episode. The last axis is empty
        where physics states have no ``qpos``.
      count: [] int32 number of blow-ups recorded so far.
    """

    physics: Any
    info: dict[str, Any]
    action: jax.Array
    world: jax.Array
    steps: jax.Array
    trail: jax.Array
    count: jax.Array

    @property
    def kept(self) -> int:
        """Number of entries that hold a blow-up. Needs concrete values, so it cannot be used inside ``jit``."""
        return min(int(self.count), MAX_BLOW_UPS)


def no_blow_ups(worlds: State, action_size: int) -> BlowUps:
    """The evidence before anything blew up; its arrays have the shapes that ``worlds`` and ``action_size`` imply."""
    none = jnp.zeros(MAX_BLOW_UPS, jnp.int32)
    return BlowUps(
        # Copies of the first world fill the places: zeros would not do, because a PRNG key cannot be zero.
        **{name: jax.tree.map(lambda x: x[none], getattr(worlds, name)) for name in ("physics", "info")},
        action=jnp.zeros((MAX_BLOW_UPS, action_size)),
        world=none,
        steps=none,
        trail=jnp.zeros((MAX_BLOW_UPS, TRAIL, positions(worlds).shape[1])),
        count=jnp.zeros((), jnp.int32),
    )


def record_blow_up(
    before: BlowUps,
    diverged: jax.Array,
    worlds: State,
    action: jax.Array,
    steps: jax.Array,
    trail: jax.Array,
    trail_head: jax.Array,
) -> BlowUps:
    """Adds the first world that ``diverged`` on this vector step to the evidence; without one the evidence stays.

    Args:
      before: the evidence so far.
      diverged: ``[worlds]`` bool, the worlds that blew up on this step.
      worlds: all worlds before the step.
      action: ``[worlds, action_size]`` the actions of the step.
      steps: ``[worlds]`` int32 environment steps since each episode's start.
      trail: ``[TRAIL, worlds, nq]`` positions before the last steps, this one included; a ring.
      trail_head: [] int32 index of the oldest entry of ``trail``.
    """
    world, slot = jnp.argmax(diverged).astype(jnp.int32), before.count % MAX_BLOW_UPS

    def put(ring: jax.Array, values: jax.Array, index: int | jax.Array = world) -> jax.Array:
        return ring.at[slot].set(jnp.where(diverged.any(), values[index], ring[slot]))

    return BlowUps(
        physics=jax.tree.map(put, before.physics, worlds.physics),
        info=jax.tree.map(put, before.info, worlds.info),
        action=put(before.action, action),
        world=put(before.world, jnp.arange(len(diverged), dtype=jnp.int32)),
        steps=put(before.steps, steps),
        trail=put(before.trail, jnp.roll(trail[:, world], -trail_head, axis=0)[None], 0),
        count=before.count + diverged.any(),
    )


def positions(worlds: State) -> jax.Array:
    """``[worlds, nq]`` joint positions, or ``[worlds, 0]`` where the physics state has no ``qpos``."""
    qpos = getattr(worlds.physics, "qpos", None)
    return jnp.zeros((len(worlds.reward), 0)) if qpos is None else qpos

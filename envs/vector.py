"""Many worlds at once: next-step autoreset, time limits, fresh start states, quarantine of worlds that blew up.

Autoreset follows Gymnasium >= 1.0: the step on which an episode ends returns its true final observation; the next step
ignores the action and starts the next episode. Every world thereby yields exactly one row per step.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs.base import Env, State

LIMIT = 1e10
"""Beyond this a world has blown up: MuJoCo's own limit (``mjMAXVAL``), and its square still fits a float32."""

MAX_BLOW_UPS = 8
"""How many blow-ups are kept as evidence."""

TRAIL = 16
"""Of how many steps of every world the positions are kept, for a film of what led to a blow-up."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Row:
    """What happened in each world on one step; the observation that follows is the next row's ``obs``.

    Attributes:
      obs: ``[worlds, ...]`` observation before the step.
      action: ``[worlds, action_size]`` in [-1, 1].
      reward: ``[worlds]``.
      terminated: ``[worlds]`` bool, see `State`.
      done: ``[worlds]`` bool, terminated or truncated.
      valid: ``[worlds]`` bool, a transition was made. False on the step that starts an episode (its ``obs`` is the
        final one of the episode before) and where the world blew up.
    """

    obs: Any
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    done: jax.Array
    valid: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StepStats:
    """What to count on one step, over all worlds.

    Attributes:
      episodes: [] int32 episodes that ended; ``return_sum`` and ``length_sum`` add up theirs.
      diverged: [] int32 worlds that blew up.
      metric_sums: sums of the env's metrics over the ``valid`` worlds (where within `LIMIT`).
      valid: [] int32 worlds that made a transition.
    """

    episodes: jax.Array
    return_sum: jax.Array
    length_sum: jax.Array
    diverged: jax.Array
    metric_sums: dict[str, jax.Array]
    valid: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BlowUps:
    """Evidence: the last worlds that blew up (at most one per step), for a dump that can be replayed.

    Attributes:
      physics: ``[MAX_BLOW_UPS, ...]`` physics states from which one step led to a blow-up; a ring.
      info: ``[MAX_BLOW_UPS, ...]`` the `State.info` that belongs to them, the world's own model among it.
      action: ``[MAX_BLOW_UPS, action_size]`` the actions of those steps; not finite where the policy was the cause.
      world: ``[MAX_BLOW_UPS]`` int32 which worlds they were.
      steps: ``[MAX_BLOW_UPS]`` int32 steps since their episode's start.
      trail: ``[MAX_BLOW_UPS, TRAIL, nq]`` positions before the last steps up to that one, oldest first; those from before
        the episode's start are another's. Empty where physics states have no ``qpos``.
      count: [] int32 recorded in all.
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
        """How many of the places are filled (outside of ``jit``)."""
        return min(int(self.count), MAX_BLOW_UPS)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VectorState:
    """All worlds.

    Attributes:
      worlds: `State` with leading axis ``[worlds]``.
      starts_episode: ``[worlds]`` bool, the next step starts an episode.
      steps: ``[worlds]`` int32 steps since the episode's start.
      returns: ``[worlds]`` sum of rewards since the episode's start.
      pool: `State` with leading axis ``[pool_size]``: start states not used yet.
      pool_used: [] int32 how many of them are used.
      blow_ups: what led to the last worlds that blew up.
      trail: ``[TRAIL, worlds, nq]`` positions before the last steps; a ring.
      trail_head: [] int32 where the next ones go.
    """

    worlds: State = dataclasses.field(metadata={"axes": ("world",)})
    starts_episode: jax.Array = dataclasses.field(metadata={"axes": ("world",)})
    steps: jax.Array = dataclasses.field(metadata={"axes": ("world",)})
    returns: jax.Array = dataclasses.field(metadata={"axes": ("world",)})
    pool: State = dataclasses.field(metadata={"axes": ()})
    pool_used: jax.Array = dataclasses.field(metadata={"axes": ()})
    blow_ups: BlowUps = dataclasses.field(metadata={"axes": ()})
    trail: jax.Array = dataclasses.field(metadata={"axes": ("time", "world")})
    trail_head: jax.Array = dataclasses.field(metadata={"axes": ()})


class VectorEnv:
    """``num_envs`` worlds of one task.

    Start states come from a pool that is drawn afresh by `refill` (call it between chunks of steps): a gather per reset
    instead of a forward pass of all worlds. They are used in order, so none repeats until the pool is used up.

    Args:
      env: the task.
      num_envs: number of worlds.
      pool_size: number of start states in the pool, at least.
      mesh: devices that share the worlds, along its only axis; None for one device.

    Raises:
      ValueError: the devices cannot share the worlds equally.
    """

    def __init__(self, env: Env, num_envs: int, pool_size: int, mesh: jax.sharding.Mesh | None = None):
        devices = mesh.size if mesh else 1
        if num_envs % devices:
            raise ValueError(f"{devices} devices cannot share {num_envs} worlds equally")
        self.env = env
        self.num_envs = num_envs
        self.pool_size = -(-max(pool_size, num_envs) // devices) * devices
        self._mesh = mesh

    def _each(self, function: Callable[..., State]) -> Callable[..., State]:
        """``function`` of one world as one of all of them, of which every device steps its own."""
        if self._mesh is None:
            return jax.vmap(function)
        # Not left to the compiler: it would have engines that are no JAX step all worlds in one place.
        spec = jax.sharding.PartitionSpec(self._mesh.axis_names)
        return jax.shard_map(jax.vmap(function), mesh=self._mesh, in_specs=spec, out_specs=spec, check_vma=False)

    def draw(self, key: jax.Array) -> State:
        """``pool_size`` fresh start states."""
        return self._each(self.env.reset)(jax.random.split(key, self.pool_size))

    def init(self, pool: State) -> VectorState:
        """All worlds at the start of an episode, from a pool of `draw`.

        A start state that is not sane is replaced by the first one that is; there must be one.
        """
        n, sane = self.num_envs, is_sane(pool)
        index = jnp.where(sane, jnp.arange(self.pool_size), jnp.argmax(sane))
        pool = jax.tree.map(lambda x: x[index], pool)
        none = jnp.zeros(MAX_BLOW_UPS, jnp.int32)
        nq = _positions(pool).shape[1]
        return VectorState(
            worlds=jax.tree.map(lambda x: x[:n], pool),
            starts_episode=jnp.zeros(n, bool),
            steps=jnp.zeros(n, jnp.int32),
            returns=jnp.zeros(n),
            pool=pool,
            pool_used=jnp.asarray(n, jnp.int32),
            blow_ups=BlowUps(
                # Any values will do, but not zeros: there are none of a PRNG key.
                **{name: jax.tree.map(lambda x: x[none], getattr(pool, name)) for name in ("physics", "info")},
                action=jnp.zeros((MAX_BLOW_UPS, self.env.action_size)),
                world=none,
                steps=none,
                trail=jnp.zeros((MAX_BLOW_UPS, TRAIL, nq)),
                count=jnp.zeros((), jnp.int32),
            ),
            trail=jnp.zeros((TRAIL, n, nq)),
            trail_head=jnp.zeros((), jnp.int32),
        )

    def refill(self, state: VectorState, pool: State) -> VectorState:
        """A new pool of start states from `draw`, but those of the old one where the new are not sane; the worlds go on."""
        pool = select(is_sane(pool), pool, state.pool)
        return dataclasses.replace(state, pool=pool, pool_used=jnp.zeros((), jnp.int32))

    def step(self, state: VectorState, action: jax.Array) -> tuple[VectorState, Row, StepStats]:
        """One step of every world under ``action`` ``[num_envs, action_size]``."""
        trail = state.trail.at[state.trail_head].set(_positions(state.worlds))
        state = dataclasses.replace(state, trail=trail, trail_head=(state.trail_head + 1) % TRAIL)
        stepped = self._each(self.env.step)(state.worlds, action)
        # Metrics feed nothing but logs: one that is no number is left out, and the world goes on.
        metrics = {name: jnp.where(_within_limit(x), x, jnp.zeros_like(x)) for name, x in stepped.metrics.items()}
        stepped = dataclasses.replace(stepped, metrics=metrics)
        # A task may overlook an action that is no number; the policy has failed all the same.
        diverged = ~state.starts_episode & ~(is_sane(stepped) & _within_limit(action).all(-1))
        valid = ~state.starts_episode & ~diverged

        rank = jnp.cumsum(~valid, dtype=jnp.int32) - 1
        index = (state.pool_used + rank) % self.pool_size
        worlds = select(valid, stepped, jax.tree.map(lambda x: x[index], state.pool))

        steps = jnp.where(valid, state.steps + 1, 0)
        returns = jnp.where(valid, state.returns + stepped.reward, 0.0)
        terminated = valid & stepped.terminated
        done = terminated | (valid & (stepped.truncated | (steps >= self.env.episode_length)))

        row = Row(
            obs=state.worlds.obs,
            action=jnp.where(_within_limit(action), action, 0.0),  # in rows that are no transition, too
            reward=jnp.where(valid, stepped.reward, 0.0),
            terminated=terminated,
            done=done,
            valid=valid,
        )
        stats = StepStats(
            episodes=done.sum(dtype=jnp.int32),
            return_sum=jnp.where(done, returns, 0.0).sum(),
            length_sum=jnp.where(done, steps, 0).sum(dtype=jnp.int32),
            diverged=diverged.sum(dtype=jnp.int32),
            metric_sums={name: jnp.where(valid, x, 0.0).sum() for name, x in metrics.items()},
            valid=valid.sum(dtype=jnp.int32),
        )
        state = VectorState(
            worlds=worlds,
            starts_episode=done,
            steps=steps,
            returns=returns,
            pool=state.pool,
            pool_used=state.pool_used + (~valid).sum(dtype=jnp.int32),
            blow_ups=_record(state, action, diverged),
            trail=state.trail,
            trail_head=state.trail_head,
        )
        return state, row, stats


def _record(state: VectorState, action: jax.Array, diverged: jax.Array) -> BlowUps:
    """The evidence with the first world of ``diverged`` added, if any."""
    before, worlds = state.blow_ups, state.worlds
    world, slot = jnp.argmax(diverged).astype(jnp.int32), before.count % MAX_BLOW_UPS

    def put(ring: jax.Array, values: jax.Array, index: int | jax.Array = world) -> jax.Array:
        return ring.at[slot].set(jnp.where(diverged.any(), values[index], ring[slot]))

    return BlowUps(
        physics=jax.tree.map(put, before.physics, worlds.physics),
        info=jax.tree.map(put, before.info, worlds.info),
        action=put(before.action, action),
        world=put(before.world, jnp.arange(len(diverged), dtype=jnp.int32)),
        steps=put(before.steps, state.steps),
        trail=put(before.trail, jnp.roll(state.trail[:, world], -state.trail_head, axis=0)[None], 0),
        count=before.count + diverged.any(),
    )


def _positions(worlds: State) -> jax.Array:
    """``[worlds, nq]`` joint positions, or ``[worlds, 0]`` where the physics has none of that name."""
    qpos = getattr(worlds.physics, "qpos", None)
    return jnp.zeros((len(worlds.reward), 0)) if qpos is None else qpos


def is_sane(worlds: State) -> jax.Array:
    """``[worlds]`` bool: everything a world computed is a number within `LIMIT`."""
    n = worlds.reward.shape[0]
    leaves = jax.tree.leaves((worlds.physics, worlds.obs, worlds.reward, worlds.info))
    floats = [x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)]  # neither counters nor PRNG keys
    return jnp.stack([jnp.all(_within_limit(x).reshape(n, -1), axis=1) for x in floats]).all(0)


def _within_limit(x: jax.Array) -> jax.Array:
    """Elementwise: a number within `LIMIT`. A comparison with NaN is False, so NaN is none."""
    return jnp.abs(x) <= LIMIT


def select(choose: jax.Array, if_true: Any, if_false: Any) -> Any:
    """Per world one tree or the other; a select and not a product, since NaN times zero is NaN."""

    def leaf(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(choose.reshape(choose.shape + (1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(leaf, if_true, if_false)

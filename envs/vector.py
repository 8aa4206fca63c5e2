"""Many worlds of one task at once: they start the next episode by themselves, and a world that blows up is replaced.

This is next-step autoreset, as in Gymnasium >= 1.0. The step on which an episode ends returns the true final observation.
The step after it ignores the action and starts the next episode. So every world yields exactly one row per vector step.

A world that blew up (see `envs.finite`) is quarantined: none of its numbers reaches a row, a sum or another world, and it
continues from a fresh start state. `envs.blow_ups` keeps the evidence.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs.base import Env, State
from envs.blow_ups import TRAIL, BlowUps, no_blow_ups, positions, record_blow_up
from envs.finite import is_finite, select, within_limit


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Row:
    """What happened in each world on one vector step. The observation after the step is ``obs`` of the next row.

    Attributes:
      obs: ``[worlds, ...]`` observation before the step.
      action: ``[worlds, action_size]`` in [-1, 1].
      reward: ``[worlds]``.
      terminated: ``[worlds]`` bool, see `State`.
      done: ``[worlds]`` bool, terminated or truncated.
      valid: ``[worlds]`` bool, a transition was made. It is False in a world that blew up, and on a step that starts an
        episode, where ``obs`` is the final observation of the episode before.
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
    """Counts and sums of one vector step over all worlds.

    Attributes:
      episodes: [] int32 episodes that ended.
      return_sum: [] sum of the returns of those episodes.
      length_sum: [] int32 sum of their lengths (environment steps).
      diverged: [] int32 worlds that blew up.
      metric_sums: sum of each of the env's metrics over the ``valid`` worlds in which that metric is finite.
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
class VectorState:
    """All worlds, and what `VectorEnv` keeps about them.

    Each field declares the leading axes of every array in it, as ``axes`` in the field's metadata. A program that spreads
    the worlds over several devices reads this: it splits an array along its "world" axis, and keeps a copy of an array
    without that axis on every device. So ``()`` means that all devices hold the same values. `State` and `BlowUps` declare
    no axes themselves: the field that holds one declares the axes of everything in it.

    Attributes:
      worlds: `State` with leading axis ``[worlds]``.
      starts_episode: ``[worlds]`` bool, the next step starts an episode.
      steps: ``[worlds]`` int32 environment steps since the episode's start.
      returns: ``[worlds]`` sum of rewards since the episode's start.
      pool: `State` with leading axis ``[pool_size]``: start states for the episodes to come. Any world may take any of them,
        so every device holds them all.
      pool_used: [] int32 number of start states taken from the pool since it was filled.
      blow_ups: evidence of the last blow-ups.
      trail: ``[TRAIL, worlds, nq]`` positions before each of the last steps; a ring.
      trail_head: [] int32 index at which the next positions are written.
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

    Start states come from a pool: a world that starts an episode copies one, which is far cheaper than to compute a start
    state for all worlds on every step. The pool's states are taken in order, so none is used twice until all are used up.
    Call `refill_pool` with fresh ones between chunks of steps.

    Args:
      env: the task.
      num_envs: number of worlds.
      pool_size: smallest number of start states in the pool. It is raised to ``num_envs`` if it is lower, and then to a
        multiple of the number of devices.
      mesh: devices that share the worlds, along its only axis; None for one device.

    Raises:
      ValueError: there is no world, or the devices cannot share the worlds equally.
    """

    def __init__(self, env: Env, num_envs: int, pool_size: int, mesh: jax.sharding.Mesh | None = None):
        devices = mesh.size if mesh else 1
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, not {num_envs}")
        if num_envs % devices:
            raise ValueError(f"{devices} devices cannot share {num_envs} worlds equally")
        self.env = env
        self.num_envs = num_envs
        self.pool_size = -(-max(pool_size, num_envs) // devices) * devices
        self._mesh = mesh

    def _each(self, function: Callable[..., State]) -> Callable[..., State]:
        """Turns a ``function`` of one world into one of all worlds; each device computes its own share of them."""
        if self._mesh is None:
            return jax.vmap(function)
        # This is not left to the compiler: for an engine that is called on the host it would gather all worlds in one place.
        spec = jax.sharding.PartitionSpec(self._mesh.axis_names)
        return jax.shard_map(jax.vmap(function), mesh=self._mesh, in_specs=spec, out_specs=spec, check_vma=False)

    def draw_starts(self, key: jax.Array) -> State:
        """Draws ``[pool_size]`` fresh start states for `reset` or `refill_pool`."""
        return self._each(self.env.reset)(jax.random.split(key, self.pool_size))

    def reset(self, starts: State) -> VectorState:
        """Puts all worlds at the start of an episode.

        A start state that is not finite is replaced by the first one that is. At least one must be.

        Args:
          starts: ``[pool_size]`` start states of `draw_starts`. They become the pool, and the worlds take the first
            ``num_envs`` of them.
        """
        n, finite = self.num_envs, is_finite(starts)
        index = jnp.where(finite, jnp.arange(self.pool_size), jnp.argmax(finite))
        pool = jax.tree.map(lambda x: x[index], starts)
        return VectorState(
            worlds=jax.tree.map(lambda x: x[:n], pool),
            starts_episode=jnp.zeros(n, bool),
            steps=jnp.zeros(n, jnp.int32),
            returns=jnp.zeros(n),
            pool=pool,
            pool_used=jnp.asarray(n, jnp.int32),
            blow_ups=no_blow_ups(pool, self.env.action_size),
            trail=jnp.zeros((TRAIL, n, positions(pool).shape[1])),
            trail_head=jnp.zeros((), jnp.int32),
        )

    def refill_pool(self, state: VectorState, starts: State) -> VectorState:
        """Replaces the pool by ``starts`` of `draw_starts`; the worlds go on.

        Where a new start state is not finite, the old one in its place stays.
        """
        pool = select(is_finite(starts), starts, state.pool)
        return dataclasses.replace(state, pool=pool, pool_used=jnp.zeros((), jnp.int32))

    def start_episodes(self, state: VectorState, where: jax.Array) -> VectorState:
        """Starts an episode in the worlds in which ``where`` ``[worlds]`` is True. The others stay as they are."""
        return dataclasses.replace(
            state,
            worlds=select(where, self._next_starts(state, where), state.worlds),
            starts_episode=state.starts_episode & ~where,
            steps=jnp.where(where, 0, state.steps),
            returns=jnp.where(where, 0.0, state.returns),
            pool_used=state.pool_used + where.sum(dtype=jnp.int32),
        )

    def _next_starts(self, state: VectorState, where: jax.Array) -> State:
        """The next start states of the pool: one for each world in which ``where`` is True, in their order."""
        rank = jnp.cumsum(where, dtype=jnp.int32) - 1
        index = (state.pool_used + rank) % self.pool_size
        return jax.tree.map(lambda x: x[index], state.pool)

    def step(self, state: VectorState, action: jax.Array) -> tuple[VectorState, Row, StepStats]:
        """One vector step: every world steps under its own action.

        Args:
          state: all worlds.
          action: ``[num_envs, action_size]`` float32 in [-1, 1].

        Raises:
          ValueError: ``action`` has another shape or type. An array that merely broadcasts is refused too.
        """
        shape = (self.num_envs, self.env.action_size)
        if (action.shape, action.dtype) != (shape, jnp.float32):
            raise ValueError(f"actions must be float32 of shape {shape}, not {action.dtype} of shape {action.shape}")
        trail = state.trail.at[state.trail_head].set(positions(state.worlds))
        state = dataclasses.replace(state, trail=trail, trail_head=(state.trail_head + 1) % TRAIL)
        stepped = self._each(self.env.step)(state.worlds, action)
        # Metrics feed nothing but logs: a metric that is not finite counts as zero, and its world goes on.
        metrics = {name: jnp.where(within_limit(x), x, jnp.zeros_like(x)) for name, x in stepped.metrics.items()}
        stepped = dataclasses.replace(stepped, metrics=metrics)
        # Actions are checked as well: a task may ignore one that is not finite, but the policy has failed all the same.
        diverged = ~state.starts_episode & ~(is_finite(stepped) & within_limit(action).all(-1))
        valid = ~state.starts_episode & ~diverged

        worlds = select(valid, stepped, self._next_starts(state, ~valid))

        steps = jnp.where(valid, state.steps + 1, 0)
        returns = jnp.where(valid, state.returns + stepped.reward, 0.0)
        terminated = valid & stepped.terminated
        done = terminated | (valid & (stepped.truncated | (steps >= self.env.episode_length)))

        row = Row(
            obs=state.worlds.obs,
            action=jnp.where(within_limit(action), action, 0.0),  # also in rows that are not valid
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
            blow_ups=record_blow_up(
                state.blow_ups, diverged, state.worlds, action, state.steps, state.trail, state.trail_head
            ),
            trail=state.trail,
            trail_head=state.trail_head,
        )
        return state, row, stats

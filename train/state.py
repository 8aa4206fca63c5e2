"""The one pytree that a run is, and what each of its fields says of itself.

Beside each field stands, as metadata, which leading axes its arrays have (``axes``, see `train.axes`) and in which part of a
checkpoint it is kept (``part``). Shardings, seeds and checkpoints follow from that.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from envs import VectorState
from envs.vector import StepStats
from mjx_tecrl import Agent, OnPolicyAgent
from mjx_tecrl.normalizer import RewardScaler
from mjx_tecrl.replay import Replay
from mjx_tecrl.types import Metrics
from train.axes import axes_of, declared
from train.problem import Actor


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tally:
    """What the chunk under way has come to so far. It is part of the state, so that a run can stop in the middle of a chunk.

    Attributes:
      stats: of all steps, added up.
      sums: of the agent's metrics over its updates, by name. Updates that did not measure one (NaN) are left out.
      counts: how many updates measured it, like ``sums``.
      bad_starts: [] int32 start states drawn for the chunk that were not finite.
    """

    stats: StepStats
    sums: dict[str, jax.Array]
    counts: dict[str, jax.Array]
    bad_starts: jax.Array

    def add(self, stats: StepStats, metrics: Metrics) -> "Tally":
        """Counts one more iteration: its ``stats``, and ``metrics`` with leading axis ``[updates]``."""
        measured = {name: ~jnp.isnan(x) for name, x in metrics.items()}
        return Tally(
            stats=jax.tree.map(jnp.add, self.stats, stats),
            sums={name: x + jnp.where(measured[name], metrics[name], 0).sum(0) for name, x in self.sums.items()},
            counts={name: n + measured[name].sum(0, dtype=jnp.int32) for name, n in self.counts.items()},
            bad_starts=self.bad_starts,
        )


def empty_tally(stats: StepStats, metrics: Metrics) -> Tally:
    """The tally of no iteration. The arguments are what an iteration measures: arrays or their shapes, as in `Tally.add`."""
    return Tally(
        stats=jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), stats),
        sums={name: jnp.zeros(x.shape[1:]) for name, x in metrics.items()},
        counts={name: jnp.zeros(x.shape[1:], jnp.int32) for name, x in metrics.items()},
        bad_starts=jnp.zeros((), jnp.int32),
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a run is: save it, restore it, and the run goes on as if nothing had happened.

    Attributes:
      actor: what it takes to act.
      envs: all worlds.
      exploration: state of the agent's exploration. The agent says which axes it has (`state_axes`).
      rewards: statistics of the rewards; an empty tuple where they are not normalised.
      replay: the ring; an empty tuple for on-policy agents.
      key: PRNG key of the next vector step.
      vector_steps: [] int32 steps of all worlds so far.
      updates: [] int32 gradient steps so far.
      tally: of the chunk under way; an empty tuple while the state is being made.
    """

    actor: Actor = dataclasses.field(metadata={"part": "actor", "axes": ()})
    envs: VectorState = dataclasses.field(metadata={"part": "loop", "axes": ()})
    exploration: Any = dataclasses.field(metadata={"part": "loop", "axes": ()})
    rewards: RewardScaler | tuple[()] = dataclasses.field(metadata={"part": "loop", "axes": ()})
    replay: Replay | tuple[()] = dataclasses.field(metadata={"part": "replay", "axes": ()})
    key: jax.Array = dataclasses.field(metadata={"part": "loop", "axes": ()})
    vector_steps: jax.Array = dataclasses.field(metadata={"part": "loop", "axes": (), "seeds": "shared"})
    updates: jax.Array = dataclasses.field(metadata={"part": "loop", "axes": (), "seeds": "shared"})
    tally: Tally | tuple[()] = dataclasses.field(metadata={"part": "loop", "axes": ()})


def state_axes(state: TrainState, agent: Agent | OnPolicyAgent) -> TrainState:
    """The axes of a state (arrays or their shapes): an `Axes` in the place of each part that has one declaration.

    Raises:
      TypeError: the agent's exploration declares an unknown axis.
    """
    return dataclasses.replace(axes_of(state), exploration=declared("The agent's exploration", agent.exploration_axes))


def checkpoint_parts(state: TrainState) -> dict[str, Any]:
    """The state's parts as a checkpoint keeps them side by side, by name; a part of one field is that field itself."""
    fields: dict[str, dict[str, Any]] = {}
    for field in dataclasses.fields(TrainState):
        fields.setdefault(field.metadata["part"], {})[field.name] = getattr(state, field.name)
    return {part: next(iter(own.values())) if len(own) == 1 else own for part, own in fields.items()}


def from_checkpoint_parts(parts: dict[str, Any]) -> TrainState:
    """The state that `checkpoint_parts` took apart."""
    values: dict[str, Any] = {}
    for part in parts:
        names = [field.name for field in dataclasses.fields(TrainState) if field.metadata["part"] == part]
        values |= {names[0]: parts[part]} if len(names) == 1 else parts[part]
    return TrainState(**values)

"""The one pytree that a run is."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from envs import VectorState
from envs.base import Obs
from envs.vector import StepStats
from mjx_tecrl.normalizer import Normalizer, RewardScaler
from mjx_tecrl.replay import Replay


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Actor:
    """What it takes to act: this part of a checkpoint is all that evaluation reads.

    Attributes:
      agent: the agent's state.
      normalizer: statistics of the observations.
    """

    agent: Any
    normalizer: Normalizer


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tally:
    """What the chunk under way has come to so far: it is part of the state, so that a run can stop in the middle of a chunk.

    Attributes:
      stats: of all steps, added up.
      sums: of the agent's metrics over its updates, by name; updates that did not measure one (NaN) are left out.
      counts: how many updates measured it, like ``sums``.
      bad_starts: [] int32 start states drawn for the chunk that were not sane.
    """

    stats: StepStats
    sums: dict[str, jax.Array]
    counts: dict[str, jax.Array]
    bad_starts: jax.Array

    def add(self, stats: StepStats, metrics: dict[str, jax.Array]) -> "Tally":
        """One turn more: its ``stats``, and ``metrics`` with leading axis ``[updates]``."""
        measured = {name: ~jnp.isnan(x) for name, x in metrics.items()}
        return Tally(
            stats=jax.tree.map(jnp.add, self.stats, stats),
            sums={name: x + jnp.where(measured[name], metrics[name], 0).sum(0) for name, x in self.sums.items()},
            counts={name: n + measured[name].sum(0) for name, n in self.counts.items()},
            bad_starts=self.bad_starts,
        )


def empty_tally(stats: StepStats, metrics: dict[str, jax.Array]) -> Tally:
    """Nothing yet, of turns that measure this (arrays or their shapes; ``metrics`` with leading axis ``[updates]``)."""
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
      exploration: state of the exploration noise (an empty tuple for on-policy agents).
      rewards: statistics of the rewards (an empty tuple where they are not normalised).
      replay: the ring (an empty tuple for on-policy agents).
      key: PRNG key of the next iteration.
      vector_steps: [] int32 steps of all worlds so far.
      updates: [] int32 gradient steps so far.
      tally: of the chunk under way (an empty tuple while the state is being made).
    """

    actor: Actor
    envs: VectorState
    exploration: Any
    rewards: RewardScaler | tuple[()]
    replay: Replay | tuple[()]
    key: jax.Array
    vector_steps: jax.Array
    updates: jax.Array
    tally: Tally | tuple[()]


def checkpoint_parts(state: TrainState) -> dict[str, Any]:
    """The parts of a checkpoint, by name: ``actor``, ``replay``, and ``loop`` with all other fields."""
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(TrainState)}
    return {"actor": fields.pop("actor"), "replay": fields.pop("replay"), "loop": fields}


def from_checkpoint_parts(parts: dict[str, Any]) -> TrainState:
    """The state that `checkpoint_parts` took apart."""
    return TrainState(actor=parts["actor"], replay=parts["replay"], **parts["loop"])


def join(obs: Obs) -> jax.Array:
    """An observation as one array, what the policy observes first."""
    return jnp.concatenate([obs["state"], obs["privileged"]], axis=-1) if isinstance(obs, dict) else obs

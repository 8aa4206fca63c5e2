"""The one pytree that a run is."""

import dataclasses
from typing import Any

import jax

from envs import VectorState
from mjx_tecrl.normalizer import Normalizer
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
class TrainState:
    """All that a run is: save it, restore it, and the run goes on as if nothing had happened.

    Attributes:
      actor: what it takes to act.
      envs: all worlds.
      exploration: state of the exploration noise.
      replay: the ring.
      key: PRNG key of the next iteration.
      iterations: [] int32 steps of all worlds so far.
    """

    actor: Actor
    envs: VectorState
    exploration: Any
    replay: Replay
    key: jax.Array
    iterations: jax.Array

"""The one pytree that a run is."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from envs import VectorState
from envs.base import Obs
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
class TrainState:
    """All that a run is: save it, restore it, and the run goes on as if nothing had happened.

    Attributes:
      actor: what it takes to act.
      envs: all worlds.
      exploration: state of the exploration noise (an empty tuple for on-policy agents).
      rewards: statistics of the rewards (an empty tuple where they are not normalised).
      replay: the ring (an empty tuple for on-policy agents).
      key: PRNG key of the next iteration.
      iterations: [] int32 steps of all worlds so far.
    """

    actor: Actor
    envs: VectorState
    exploration: Any
    rewards: RewardScaler | tuple[()]
    replay: Replay | tuple[()]
    key: jax.Array
    iterations: jax.Array


def join(obs: Obs) -> jax.Array:
    """An observation as one array, what the policy observes first."""
    return jnp.concatenate([obs["state"], obs["privileged"]], axis=-1) if isinstance(obs, dict) else obs

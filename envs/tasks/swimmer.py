"""Swimmer: three links that snake forward through a fluid (Gymnasium's Swimmer)."""

import dataclasses

import jax

from envs.engines import Derived, PhysicsState
from envs.tasks.locomotion import Locomotion, LocomotionArgs


@dataclasses.dataclass(frozen=True)
class SwimmerArgs(LocomotionArgs):
    """Arguments of Swimmer-v5."""

    ctrl_cost_weight: float = 1e-4


class Swimmer(Locomotion):
    """Swim forward. No episode ends early (Swimmer-v5)."""

    name = "swimmer"
    xml = "swimmer.xml"
    frame_skip = 4
    mjx_iterations = (4, 8)
    warp_buffers = (8, 8)
    horizontal = 2
    gymnasium_id = "Swimmer-v5"
    camera = "track"
    Args = SwimmerArgs

    def position(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """Where the front tip is in the plane."""
        return physics.qpos[:2]


class SwimmerV4(Swimmer):
    """Swimmer-v4: equal to v5."""

    name = "swimmer-v4"
    gymnasium_id = "Swimmer-v4"

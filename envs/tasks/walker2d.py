"""Walker2d: two legs in a plane that walk forward (Gymnasium's Walker2d)."""

import dataclasses

import jax

from envs.engines import PhysicsState
from envs.tasks.locomotion import HealthyLocomotion, HealthyLocomotionArgs
from envs.tasks.mujoco_task import Range, within


@dataclasses.dataclass(frozen=True)
class Walker2dArgs(HealthyLocomotionArgs):
    """Arguments of Walker2d-v5."""

    ctrl_cost_weight: float = 1e-3
    healthy_z_range: Range = (0.8, 2.0)
    healthy_angle_range: Range = (-1.0, 1.0)
    """range of the torso's pitch (rad)"""
    reset_noise_scale: float = 5e-3


class Walker2d(HealthyLocomotion):
    """Walk forward without falling (Walker2d-v5)."""

    name = "walker2d"
    xml = "walker2d_v5.xml"
    frame_skip = 4
    mjx_iterations = (20, 8)
    warp_buffers = (24, 48)
    velocity_limit = 10.0
    gymnasium_id = "Walker2d-v5"
    camera = "track"
    Args = Walker2dArgs

    def healthy(self, physics: PhysicsState) -> jax.Array:
        """The torso is high and upright enough."""
        return within(physics.qpos[1], self.args.healthy_z_range) & within(physics.qpos[2], self.args.healthy_angle_range)


class Walker2dV4(Walker2d):
    """Walker2d-v4: the feet differ in friction, and the step that ends an episode by a fall earns the healthy reward too."""

    name = "walker2d-v4"
    xml = "walker2d.xml"
    pays_for_fall = True
    gymnasium_id = "Walker2d-v4"

"""Hopper: one leg that hops forward (Gymnasium's Hopper)."""

import dataclasses

import jax
import jax.numpy as jnp

from envs.engines import PhysicsState
from envs.tasks.locomotion import HealthyLocomotion, HealthyLocomotionArgs
from envs.tasks.mujoco_task import Range, within


@dataclasses.dataclass(frozen=True)
class HopperArgs(HealthyLocomotionArgs):
    """Arguments of Hopper-v5."""

    ctrl_cost_weight: float = 1e-3
    healthy_state_range: Range = (-100.0, 100.0)
    """range of every coordinate except the first two, and of every velocity"""
    healthy_z_range: Range = (0.7, float("inf"))
    healthy_angle_range: Range = (-0.2, 0.2)
    """range of the torso's pitch (rad)"""
    reset_noise_scale: float = 5e-3


class Hopper(HealthyLocomotion):
    """Hop forward without falling (Hopper-v5)."""

    name = "hopper"
    xml = "hopper.xml"
    frame_skip = 4
    velocity_limit = 10.0
    mjx_iterations = (8, 8)
    warp_buffers = (16, 32)
    gymnasium_id = "Hopper-v5"
    camera = "track"
    Args = HopperArgs

    def healthy(self, physics: PhysicsState) -> jax.Array:
        """The torso is high and upright enough, and no coordinate or velocity is extreme."""
        return (
            within(jnp.concatenate([physics.qpos, physics.qvel])[2:], self.args.healthy_state_range)
            & within(physics.qpos[1], self.args.healthy_z_range)
            & within(physics.qpos[2], self.args.healthy_angle_range)
        )


class HopperV4(Hopper):
    """Hopper-v4: the step that ends an episode by a fall earns the healthy reward too."""

    name = "hopper-v4"
    pays_for_fall = True
    gymnasium_id = "Hopper-v4"

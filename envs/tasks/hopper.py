"""Hopper: one leg that hops forward (Gymnasium's Hopper-v5)."""

import dataclasses

import jax
import jax.numpy as jnp

from envs.physics import Derived, PhysicsState
from envs.tasks.mujoco_task import MujocoTask, Range, TaskArgs, within


@dataclasses.dataclass(frozen=True)
class HopperArgs(TaskArgs):
    """Arguments of Hopper-v5."""

    forward_reward_weight: float = 1.0
    """reward per m/s forward"""
    ctrl_cost_weight: float = 1e-3
    """cost per squared control"""
    healthy_reward: float = 1.0
    """reward per step upright"""
    terminate_when_unhealthy: bool = True
    """end the episode at a fall"""
    healthy_state_range: Range = (-100.0, 100.0)
    """range of every coordinate but the first two, and of every velocity"""
    healthy_z_range: Range = (0.7, float("inf"))
    """range of the torso's height (m)"""
    healthy_angle_range: Range = (-0.2, 0.2)
    """range of the torso's pitch (rad)"""
    reset_noise_scale: float = 5e-3
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""
    exclude_current_positions_from_observation: bool = True
    """leave the forward coordinate out of the observation"""


class Hopper(MujocoTask):
    """Hop forward without falling."""

    name = "hopper"
    xml = "hopper.xml"
    frame_skip = 4
    mjx_iterations = (8, 8)
    gymnasium_id = "Hopper-v5"
    camera = "track"
    Args = HopperArgs

    def observe(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """Positions, and velocities clipped to 10."""
        first = int(self.args.exclude_current_positions_from_observation)
        return jnp.concatenate([physics.qpos[first:], jnp.clip(physics.qvel, -10, 10)])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, velocity: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Forward velocity, minus control, plus being healthy."""
        args = self.args
        healthy = (
            within(jnp.concatenate([physics.qpos, physics.qvel])[2:], args.healthy_state_range)
            & within(physics.qpos[1], args.healthy_z_range)
            & within(physics.qpos[2], args.healthy_angle_range)
        )
        terms = {
            "reward_forward": args.forward_reward_weight * velocity[0],
            "reward_ctrl": -args.ctrl_cost_weight * jnp.sum(ctrl**2),
            "reward_survive": args.healthy_reward * healthy,
        }
        return terms, ~healthy & args.terminate_when_unhealthy

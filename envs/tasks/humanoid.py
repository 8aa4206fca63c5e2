"""Humanoid: a 3D body with 17 motors that runs forward (Gymnasium's Humanoid-v5 without contact forces).

The TECRL paper ran a MuJoCo in which ``cfrc_ext`` was always zero, so the default here has neither the contact cost nor
the contact forces in the observation; both can be switched on.
"""

import dataclasses

import jax
import jax.numpy as jnp

from envs.physics import Derived, PhysicsState
from envs.tasks.mujoco_task import MujocoTask, Range, TaskArgs, within


@dataclasses.dataclass(frozen=True)
class HumanoidArgs(TaskArgs):
    """Arguments of Humanoid-v5."""

    forward_reward_weight: float = 1.25
    """reward per m/s of the centre of mass forward"""
    ctrl_cost_weight: float = 0.1
    """cost per squared control"""
    contact_cost_weight: float = 0.0
    """cost per squared contact force (Humanoid-v5: 5e-7); needs the mjx engine"""
    contact_cost_range: Range = (-float("inf"), 10.0)
    """limits of the contact cost"""
    healthy_reward: float = 5.0
    """reward per step upright"""
    terminate_when_unhealthy: bool = True
    """end the episode at a fall"""
    healthy_z_range: Range = (1.0, 2.0)
    """range of the torso's height (m)"""
    reset_noise_scale: float = 1e-2
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""
    exclude_current_positions_from_observation: bool = True
    """leave the horizontal coordinates out of the observation"""
    include_cinert_in_observation: bool = True
    """observe the bodies' inertias"""
    include_cvel_in_observation: bool = True
    """observe the bodies' velocities"""
    include_qfrc_actuator_in_observation: bool = True
    """observe the actuators' forces"""
    include_cfrc_ext_in_observation: bool = False
    """observe the contact forces (Humanoid-v5: true); needs the mjx engine"""


class Humanoid(MujocoTask):
    """Run forward without falling."""

    name = "humanoid"
    xml = "humanoid.xml"
    frame_skip = 5
    mjx_iterations = (20, 8)
    gymnasium_id = "Humanoid-v5"
    camera = "track"
    Args = HumanoidArgs

    @property
    def reads(self) -> tuple[str, ...]:
        """The centre of mass, what the observation includes, and contact forces if they count."""
        reads = ["xipos", "cinert", "cvel", "qfrc_actuator"]
        if self.args.include_cfrc_ext_in_observation or self.args.contact_cost_weight:
            reads.append("cfrc_ext")
        return tuple(reads)

    def position(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """The centre of mass in the plane."""
        mass = jnp.asarray(self.physics.model.body_mass, jnp.float32)
        return mass @ derived["xipos"][:, :2] / mass.sum()

    def observe(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """Positions, velocities and the bodies' dynamics (the world's own body is left out)."""
        args = self.args
        parts = [physics.qpos[2 * args.exclude_current_positions_from_observation :], physics.qvel]
        if args.include_cinert_in_observation:
            parts.append(derived["cinert"][1:].ravel())
        if args.include_cvel_in_observation:
            parts.append(derived["cvel"][1:].ravel())
        if args.include_qfrc_actuator_in_observation:
            parts.append(derived["qfrc_actuator"][6:])
        if args.include_cfrc_ext_in_observation:
            parts.append(derived["cfrc_ext"][1:].ravel())
        return jnp.concatenate(parts)

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, velocity: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Forward velocity, minus control and contact, plus being healthy."""
        args = self.args
        healthy = within(physics.qpos[2], args.healthy_z_range)
        contact_cost = jnp.zeros(())
        if args.contact_cost_weight:
            contact_cost = args.contact_cost_weight * jnp.sum(derived["cfrc_ext"] ** 2)
        terms = {
            "reward_survive": args.healthy_reward * healthy,
            "reward_forward": args.forward_reward_weight * velocity[0],
            "reward_ctrl": -args.ctrl_cost_weight * jnp.sum(ctrl**2),
            "reward_contact": -jnp.clip(contact_cost, *args.contact_cost_range),
        }
        return terms, ~healthy & args.terminate_when_unhealthy

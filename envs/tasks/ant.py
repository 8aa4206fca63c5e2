"""Ant: a torso with four legs that runs forward in space (Gymnasium's Ant).

The TECRL paper ran a MuJoCo in which ``cfrc_ext`` was always zero. So `Ant` has neither the cost of contact nor the contact
forces in the observation; `AntV5` has both.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from envs.engines import Derived, PhysicsState
from envs.tasks.locomotion import WITH_CONTACT_FORCES, WITHOUT_CONTACT_FORCES, HealthyLocomotion, HealthyLocomotionArgs
from envs.tasks.mujoco_task import Info, MujocoTask, Range


@dataclasses.dataclass(frozen=True)
class AntArgs(HealthyLocomotionArgs):
    """Arguments of Ant-v5, without contact forces by default."""

    ctrl_cost_weight: float = 0.5
    healthy_z_range: Range = (0.2, 1.0)
    main_body: str = "torso"
    """the part of the body whose velocity is rewarded"""
    contact_cost_weight: float = 0.0
    """cost per squared contact force (Ant-v5: 5e-4)"""
    contact_force_range: Range = (-1.0, 1.0)
    """range to which contact forces are clipped"""
    include_cfrc_ext_in_observation: bool = False
    """observe the contact forces (Ant-v5: true)"""


class Ant(HealthyLocomotion):
    """Run forward while the torso stays within a range of heights (Ant-v5 without contact forces)."""

    name = "ant"
    xml = "ant.xml"
    frame_skip = 5
    mjx_iterations = (20, 8)
    warp_buffers = (16, 40)
    horizontal = 2
    qvel_noise = staticmethod(jax.random.normal)
    first_contact: ClassVar[int] = 1
    """number of the first body whose contact forces are observed; 0 is the world"""
    gymnasium_id = "Ant-v5"
    gymnasium_fixed = WITHOUT_CONTACT_FORCES
    camera = "track"
    Args = AntArgs

    @property
    def reads(self) -> tuple[str, ...]:
        """The main body's position, and contact forces if they are observed or cost something."""
        contacts = self.args.include_cfrc_ext_in_observation or self.args.contact_cost_weight
        return ("xpos", "cfrc_ext") if contacts else ("xpos",)

    def position(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """Where the main body is in the plane."""
        return derived["xpos"][self.model.body(self.args.main_body).id, :2]

    def healthy(self, physics: PhysicsState) -> jax.Array:
        """The torso is neither too low nor too high, and all numbers are finite."""
        low, high = self.args.healthy_z_range
        finite = jnp.isfinite(physics.qpos).all() & jnp.isfinite(physics.qvel).all()
        return finite & (low <= physics.qpos[2]) & (physics.qpos[2] <= high)

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """Positions, velocities, and contact forces if they are included."""
        obs = super().observe(physics, derived, info)
        if self.args.include_cfrc_ext_in_observation:
            forces = jnp.clip(derived["cfrc_ext"][self.first_contact :], *self.args.contact_force_range)
            obs = jnp.concatenate([obs, forces.ravel()])
        return obs

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Reward for forward velocity and for being healthy, minus the costs of control and contact."""
        terms, terminated = super().score(physics, derived, ctrl, info)
        cost = jnp.zeros(())
        if self.args.contact_cost_weight:
            forces = jnp.clip(derived["cfrc_ext"], *self.args.contact_force_range)
            cost = self.args.contact_cost_weight * jnp.sum(forces**2)
        return terms | {"reward_contact": -cost}, terminated


@dataclasses.dataclass(frozen=True)
class AntV5Args(AntArgs):
    """Arguments of Ant-v5."""

    contact_cost_weight: float = 5e-4
    include_cfrc_ext_in_observation: bool = True


class AntV5(Ant):
    """Ant-v5, contact forces included."""

    name = "ant-v5"
    engines = WITH_CONTACT_FORCES
    gymnasium_fixed = MujocoTask.gymnasium_fixed
    Args = AntV5Args


class AntV4(Ant):
    """Ant-v4, without contact forces as by default: the step that ends an episode earns the healthy reward too."""

    name = "ant-v4"
    pays_for_fall = True
    gymnasium_id = "Ant-v4"
    gymnasium_fixed = MujocoTask.gymnasium_fixed

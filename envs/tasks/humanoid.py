"""Humanoid: a body with 17 motors that runs forward, or stands up (Gymnasium's Humanoid and HumanoidStandup).

The TECRL paper ran a MuJoCo in which ``cfrc_ext`` was always zero. So `Humanoid` has neither the cost of contact nor the
contact forces in the observation; `HumanoidV5` has both.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from envs.engines import Derived, PhysicsState
from envs.tasks.locomotion import WITH_CONTACT_FORCES, WITHOUT_CONTACT_FORCES, HealthyLocomotion, HealthyLocomotionArgs
from envs.tasks.mujoco_task import Info, MujocoTask, Range, within
from envs.tasks.task_args import TaskArgs


@dataclasses.dataclass(frozen=True)
class HumanoidBodyArgs(TaskArgs):
    """Arguments that both tasks have: noise of the start state, and what is observed."""

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
    include_cfrc_ext_in_observation: bool = True
    """observe the contact forces"""


class HumanoidBody(MujocoTask):
    """What both tasks read and observe."""

    frame_skip = 5
    mjx_iterations = (20, 8)
    warp_buffers = (32, 64)
    camera = "track"
    observes_constants: ClassVar[bool] = False
    """whether constants are observed too, as in v4: the world's own body, and the forces on the root, which has no motor"""
    contact_weight: ClassVar[str]
    """name of the argument that weighs contact forces"""

    @property
    def reads(self) -> tuple[str, ...]:
        """What is observed, the centres of mass, and contact forces if they are observed or cost something."""
        reads = ["xipos", "cinert", "cvel", "qfrc_actuator"]
        if self.args.include_cfrc_ext_in_observation or getattr(self.args, self.contact_weight):
            reads.append("cfrc_ext")
        return tuple(reads)

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """Positions, velocities, and the quantities of all body parts that are included."""
        args = self.args
        first, first_force = (0, 0) if self.observes_constants else (1, 6)
        parts = [physics.qpos[2 * args.exclude_current_positions_from_observation :], physics.qvel]
        if args.include_cinert_in_observation:
            parts.append(derived["cinert"][first:].ravel())
        if args.include_cvel_in_observation:
            parts.append(derived["cvel"][first:].ravel())
        if args.include_qfrc_actuator_in_observation:
            parts.append(derived["qfrc_actuator"][first_force:])
        if args.include_cfrc_ext_in_observation:
            parts.append(derived["cfrc_ext"][first:].ravel())
        return jnp.concatenate(parts)

    def contact_cost(self, derived: Derived, bounds: Range) -> jax.Array:
        """Squared contact forces times their weight, clipped to ``bounds``."""
        weight = getattr(self.args, self.contact_weight)
        cost = weight * jnp.sum(derived["cfrc_ext"] ** 2) if weight else jnp.zeros(())
        return jnp.clip(cost, *bounds)


@dataclasses.dataclass(frozen=True)
class HumanoidArgs(HumanoidBodyArgs, HealthyLocomotionArgs):
    """Arguments of Humanoid-v5, without contact forces by default."""

    forward_reward_weight: float = 1.25
    healthy_reward: float = 5.0
    healthy_z_range: Range = (1.0, 2.0)
    contact_cost_weight: float = 0.0
    """cost per squared contact force (Humanoid-v5: 5e-7)"""
    contact_cost_range: Range = (-float("inf"), 10.0)
    """limits of the contact cost"""
    include_cfrc_ext_in_observation: bool = False
    """observe the contact forces (Humanoid-v5: true)"""


class Humanoid(HumanoidBody, HealthyLocomotion):
    """Run forward without falling (Humanoid-v5 without contact forces)."""

    name = "humanoid"
    xml = "humanoid.xml"
    horizontal = 2
    contact_weight = "contact_cost_weight"
    gymnasium_id = "Humanoid-v5"
    gymnasium_fixed = WITHOUT_CONTACT_FORCES
    Args = HumanoidArgs

    def position(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """Where the centre of mass is in the plane."""
        mass = jnp.asarray(self.model.body_mass, jnp.float32)
        return mass @ derived["xipos"][:, :2] / mass.sum()

    def healthy(self, physics: PhysicsState) -> jax.Array:
        """The torso is high enough."""
        return within(physics.qpos[2], self.args.healthy_z_range)

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Reward for forward velocity and for being healthy, minus the costs of control and contact."""
        terms, terminated = super().score(physics, derived, ctrl, info)
        return terms | {"reward_contact": -self.contact_cost(derived, self.args.contact_cost_range)}, terminated


@dataclasses.dataclass(frozen=True)
class HumanoidV5Args(HumanoidArgs):
    """Arguments of Humanoid-v5."""

    contact_cost_weight: float = 5e-7
    include_cfrc_ext_in_observation: bool = True


class HumanoidV5(Humanoid):
    """Humanoid-v5, contact forces included."""

    name = "humanoid-v5"
    engines = WITH_CONTACT_FORCES
    gymnasium_fixed = MujocoTask.gymnasium_fixed
    Args = HumanoidV5Args


@dataclasses.dataclass(frozen=True)
class HumanoidV4Args(HumanoidArgs):
    """Arguments of Humanoid-v4."""

    include_cfrc_ext_in_observation: bool = True


class HumanoidV4(Humanoid):
    """Humanoid-v4: contact forces are observed at no cost; the step that ends an episode earns the healthy reward too."""

    name = "humanoid-v4"
    engines = WITH_CONTACT_FORCES
    observes_constants = True
    pays_for_fall = True
    gymnasium_id = "Humanoid-v4"
    gymnasium_fixed = MujocoTask.gymnasium_fixed
    Args = HumanoidV4Args


@dataclasses.dataclass(frozen=True)
class HumanoidStandupArgs(HumanoidBodyArgs):
    """Arguments of HumanoidStandup-v5, except ``uph_cost_weight``, which Gymnasium itself does not use."""

    ctrl_cost_weight: float = 0.1
    """cost per squared control"""
    impact_cost_weight: float = 0.5e-6
    """cost per squared contact force"""
    impact_cost_range: Range = (-float("inf"), 10.0)
    """limits of the impact cost"""


class HumanoidStandup(HumanoidBody):
    """Get up from the ground as high as possible. No episode ends early (HumanoidStandup-v5)."""

    name = "humanoid_standup"
    engines = WITH_CONTACT_FORCES
    xml = "humanoidstandup.xml"
    contact_weight = "impact_cost_weight"
    gymnasium_id = "HumanoidStandup-v5"
    Args = HumanoidStandupArgs

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """The torso's height divided by the time of one physics step, minus the costs of control and impact, plus one."""
        terms = {
            "reward_linup": physics.qpos[2] / self.model.opt.timestep,
            "reward_quadctrl": -self.args.ctrl_cost_weight * jnp.sum(ctrl**2),
            "reward_impact": -self.contact_cost(derived, self.args.impact_cost_range),
            "constant": jnp.ones(()),
        }
        return terms, jnp.zeros((), bool)


class HumanoidStandupV4(HumanoidStandup):
    """HumanoidStandup-v4: constants are observed too, those of the world's body and of the actuator forces on the root."""

    name = "humanoid_standup-v4"
    observes_constants = True
    gymnasium_id = "HumanoidStandup-v4"

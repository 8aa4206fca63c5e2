"""What the bodies that move forward share: reward for velocity, cost of control, health, and what they observe."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info, MujocoTask, Range
from envs.tasks.task_args import TaskArgs

WITH_CONTACT_FORCES = ("mjx", "native")
"""Names of the engines that compute contact forces."""

WITHOUT_CONTACT_FORCES: Mapping[str, Any] = MappingProxyType(
    {"contact_cost_weight": 0.0, "include_cfrc_ext_in_observation": False}
)
"""Arguments with which Gymnasium's v5 equals what the TECRL paper ran: its MuJoCo left ``cfrc_ext`` at zero."""


@dataclasses.dataclass(frozen=True)
class LocomotionArgs(TaskArgs):
    """Arguments of every body that moves forward. Each body states its own defaults."""

    forward_reward_weight: float = 1.0
    """reward per m/s forward"""
    ctrl_cost_weight: float = 0.1
    """cost per squared control"""
    reset_noise_scale: float = 0.1
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""
    exclude_current_positions_from_observation: bool = True
    """leave the horizontal coordinates out of the observation"""


class Locomotion(MujocoTask):
    """Move forward. No episode ends early."""

    horizontal: ClassVar[int] = 1
    """number of coordinates, the first ones, that say where the body is in the plane"""
    velocity_limit: ClassVar[float] = float("inf")
    """limit to which velocities are clipped in the observation"""

    @property
    def push_dofs(self) -> tuple[int, ...]:
        """The velocities in the plane."""
        return tuple(range(self.horizontal))

    def position(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """The point ``[k]`` whose mean velocity over a step is rewarded, forward first (m)."""
        return physics.qpos[:1]

    def remember(self, physics: PhysicsState, derived: Derived) -> Info:
        """Keeps the position, from which the velocity of the next step is measured."""
        return {"position": self.position(physics, derived)}

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """Positions and velocities."""
        skipped = self.horizontal * self.args.exclude_current_positions_from_observation
        limit = self.velocity_limit
        return jnp.concatenate([physics.qpos[skipped:], jnp.clip(physics.qvel, -limit, limit)])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Reward for forward velocity, minus the cost of control."""
        velocity = (self.position(physics, derived) - info["position"]) / self.dt
        terms = {
            "reward_forward": self.args.forward_reward_weight * velocity[0],
            "reward_ctrl": -self.args.ctrl_cost_weight * jnp.sum(ctrl**2),
        }
        return terms, jnp.zeros((), bool)


@dataclasses.dataclass(frozen=True)
class HealthyLocomotionArgs(LocomotionArgs):
    """Arguments of every body that moves forward and can fall. Each body states its own defaults."""

    healthy_reward: float = 1.0
    """reward per step upright"""
    terminate_when_unhealthy: bool = True
    """end the episode when the body falls"""
    healthy_z_range: Range = (0.0, float("inf"))
    """range of heights of the torso outside of which the body has fallen (m)"""


class HealthyLocomotion(Locomotion):
    """Move forward without falling. Each body says in `healthy` what that means."""

    pays_for_fall: ClassVar[bool] = False
    """whether the step that ends an episode earns the healthy reward too, as it does in Gymnasium up to v4"""

    def healthy(self, physics: PhysicsState) -> jax.Array:
        """[] bool: the body has not fallen. False if the state is not finite."""
        raise NotImplementedError

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Reward for forward velocity and for being healthy, minus the cost of control."""
        terms, _ = super().score(physics, derived, ctrl, info)
        healthy = self.healthy(physics)
        paid = healthy | (self.pays_for_fall and self.args.terminate_when_unhealthy)
        return terms | {"reward_survive": self.args.healthy_reward * paid}, ~healthy & self.args.terminate_when_unhealthy

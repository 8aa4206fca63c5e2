"""Reacher: a two-jointed arm that reaches for a random target (Gymnasium's Reacher)."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info, MujocoTask
from envs.tasks.task_args import TaskArgs


@dataclasses.dataclass(frozen=True)
class ReacherArgs(TaskArgs):
    """Arguments of Reacher-v5."""

    reward_dist_weight: float = 1.0
    """cost per metre between fingertip and target"""
    reward_control_weight: float = 1.0
    """cost per squared control"""


class Reacher(MujocoTask):
    """Hold the fingertip at the target (Reacher-v5)."""

    name = "reacher"
    xml = "reacher.xml"
    frame_skip = 2
    mjx_iterations = (4, 8)
    warp_buffers = (8, 8)
    episode_length = 50
    gymnasium_id = "Reacher-v5"
    Args = ReacherArgs
    offset_size: ClassVar[int] = 2
    """number of coordinates of the offset from the target that are observed"""

    @property
    def reads(self) -> tuple[str, ...]:
        """Where the bodies are."""
        return ("xpos",)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """The arm nearly straight and nearly at rest, and a target anywhere in a disc of radius 0.2 m."""
        key_qpos, key_qvel, key_radius, key_angle = jax.random.split(key, 4)
        arm = jax.random.uniform(key_qpos, (2,), minval=-0.1, maxval=0.1)
        radius = 0.2 * jnp.sqrt(jax.random.uniform(key_radius))  # uniform in the disc
        angle = jax.random.uniform(key_angle, maxval=2 * jnp.pi)
        target = radius * jnp.array([jnp.cos(angle), jnp.sin(angle)])
        velocity = jax.random.uniform(key_qvel, (2,), minval=-0.005, maxval=0.005)
        return jnp.concatenate([arm, target]), jnp.concatenate([velocity, jnp.zeros(2)]), {}

    def offset(self, derived: Derived) -> jax.Array:
        """``[3]`` vector from the target to the fingertip (m)."""
        return derived["xpos"][self.model.body("fingertip").id] - derived["xpos"][self.model.body("target").id]

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """Cosines and sines of the joints, the target, joint velocities, and the offset from the target."""
        angles = physics.qpos[:2]
        offset = self.offset(derived)[: self.offset_size]
        return jnp.concatenate([jnp.cos(angles), jnp.sin(angles), physics.qpos[2:], physics.qvel[:2], offset])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Minus the distance, minus the squared control."""
        return self._terms(self.offset(derived), ctrl), jnp.zeros((), bool)

    def _terms(self, offset: jax.Array, ctrl: jax.Array) -> dict[str, jax.Array]:
        return {
            "reward_dist": -self.args.reward_dist_weight * jnp.linalg.norm(offset),
            "reward_ctrl": -self.args.reward_control_weight * jnp.sum(ctrl**2),
        }


class ReacherV4(Reacher):
    """Reacher-v4: the distance is that before the step, and the offset's height, which is always 0, is observed too."""

    name = "reacher-v4"
    gymnasium_id = "Reacher-v4"
    offset_size = 3

    def remember(self, physics: PhysicsState, derived: Derived) -> Info:
        """Keeps the offset, from which the reward of the next step is computed."""
        return {"offset": self.offset(derived)}

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Minus the distance before the step, minus the squared control."""
        return self._terms(info["offset"], ctrl), jnp.zeros((), bool)

"""Reacher of the DeepMind Control Suite: reach a random target with an arm of two joints."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import mujoco

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info


class Reacher(DmcTask):
    """Bring the finger to the target and hold it there."""

    control_timestep = 0.02
    warp_buffers = (8, 8)
    reads = ("geom_xpos",)
    target_radius: ClassVar[float]
    """radius of the target (m)"""

    def load(self) -> mujoco.MjModel:
        """Loads the model, with a target of this task's size."""
        model = super().load()
        model.geom("target").size[0] = self.target_radius
        return model

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws a pose, and a target in a random direction, 5 to 20 cm away. The arm is at rest."""
        key_pose, key_angle, key_radius = jax.random.split(key, 3)
        angle = jax.random.uniform(key_angle, maxval=2 * jnp.pi)
        radius = jax.random.uniform(key_radius, minval=0.05, maxval=0.2)
        place = radius * jnp.array([jnp.sin(angle), jnp.cos(angle)])
        geom_pos = jnp.asarray(self.model.geom_pos, jnp.float32).at[self.model.geom("target").id, :2].set(place)
        return *super().reset_pose(key_pose)[:2], {"model": {"geom_pos": geom_pos}}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Positions, the vector from the finger to the target, and velocities."""
        return [physics.qpos, self._to_target(derived), physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """1 while the finger touches the target, else 0."""
        radii = self.target_radius + self.model.geom("finger").size[0]
        return tolerance(jnp.linalg.norm(self._to_target(derived)), (0.0, radii))

    def _to_target(self, derived: Derived) -> jax.Array:
        """``[2]`` vector from the finger to the target (m)."""
        target, finger = (derived["geom_xpos"][self.model.geom(name).id, :2] for name in ("target", "finger"))
        return target - finger


class ReacherEasy(Reacher):
    """Reach a large target."""

    name = "dmc/reacher-easy"
    target_radius = 0.05


class ReacherHard(Reacher):
    """Reach a small target."""

    name = "dmc/reacher-hard"
    target_radius = 0.015

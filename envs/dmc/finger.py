"""Finger of the DeepMind Control Suite: spin a body on a hinge, or turn it to a target."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.dmc.dmc_task import DmcTask
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

SPIN_VELOCITY = 15.0
"""speed of the body from which it counts as spinning (rad/s)"""


class Finger(DmcTask):
    """Move a body on a hinge with a finger of two joints."""

    control_timestep = 0.02
    warp_buffers = (8, 8)
    reads = ("sensordata",)
    mjx_iterations = (200, 50)  # the model's own settings

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws a pose in which nothing touches. Everything is at rest."""
        return self.draw_free_of_contact(key, self.random_joints), jnp.zeros(self.model.nv), {}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """The finger's joints, the spinner's tip, velocities and touch."""
        velocities = self.sensors(derived, "proximal_velocity", "distal_velocity", "hinge_velocity")
        touch = jnp.log1p(self.sensors(derived, "touchtop", "touchbottom"))
        return [self.sensors(derived, "proximal", "distal"), self.from_hinge(derived, "tip"), velocities, touch]

    def from_hinge(self, derived: Derived, site: str) -> jax.Array:
        """``[2]`` place of a site relative to the hinge, in the plane of motion (m)."""
        return (self.sensors(derived, site) - self.sensors(derived, "spinner"))[np.array([0, 2])]


class FingerSpin(Finger):
    """Keep the body spinning fast."""

    name = "dmc/finger-spin"

    def load(self) -> mujoco.MjModel:
        """Loads the model, with a hinge that turns more easily."""
        model = super().load()
        model.joint("hinge").damping[:] = 0.03
        return model

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """1 while the body spins at `SPIN_VELOCITY` or faster, else 0."""
        return (self.sensors(derived, "hinge_velocity")[0] <= -SPIN_VELOCITY).astype(jnp.float32)


class FingerTurn(Finger):
    """Turn the body until its tip is at a target."""

    target_radius: ClassVar[float]
    """radius of the target (m)"""

    def load(self) -> mujoco.MjModel:
        """Loads the model, with a target of this task's size."""
        model = super().load()
        model.site("target").size[0] = self.target_radius
        return model

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws a pose in which nothing touches, and a target anywhere on the circle of the tip. Everything is at rest."""
        key_pose, key_target = jax.random.split(key)
        angle = jax.random.uniform(key_target, minval=-jnp.pi, maxval=jnp.pi)
        hinge, radius = self.model.body("spinner").pos, self.model.geom("cap1").size.sum()
        place = jnp.array([hinge[0] + radius * jnp.sin(angle), hinge[2] + radius * jnp.cos(angle)])
        site = self.model.site("target").id
        site_pos = jnp.asarray(self.model.site_pos, jnp.float32).at[site, jnp.array([0, 2])].set(place)
        return *super().reset_pose(key_pose)[:2], {"model": {"site_pos": site_pos}}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """What all finger tasks observe, the target, and the distance to its surface."""
        return [*super().features(physics, derived, info), self.from_hinge(derived, "target"), self._distance(derived)]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """1 while the tip is in the target, else 0."""
        return (self._distance(derived) <= 0).astype(jnp.float32)

    def _distance(self, derived: Derived) -> jax.Array:
        offset = self.from_hinge(derived, "target") - self.from_hinge(derived, "tip")
        return jnp.linalg.norm(offset) - self.target_radius


class FingerTurnEasy(FingerTurn):
    """Turn the body to a large target."""

    name = "dmc/finger-turn_easy"
    target_radius = 0.07


class FingerTurnHard(FingerTurn):
    """Turn the body to a small target."""

    name = "dmc/finger-turn_hard"
    target_radius = 0.03

"""Hopper of the DeepMind Control Suite: stand, hop."""

import jax
import jax.numpy as jnp

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import smallness, tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

STAND_HEIGHT = 0.6
"""height of the torso above the foot from which the body counts as standing (m)"""
HOP_SPEED = 2.0
"""speed from which the reward for hopping is 1 (m/s)"""


class HopperStand(DmcTask):
    """Stand, with small controls."""

    name = "dmc/hopper-stand"
    control_timestep = 0.02
    warp_buffers = (24, 48)
    reads = ("xipos", "sensordata")

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Positions without the horizontal one, velocities, and touch at toe and heel."""
        return [physics.qpos[1:], physics.qvel, jnp.log1p(self.sensors(derived, "touch_toe", "touch_heel"))]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """1 while the body stands, less for large controls."""
        return self.standing(derived) * (smallness(ctrl) + 4) / 5

    def standing(self, derived: Derived) -> jax.Array:
        """[] 1 if the torso is high enough above the foot, else 0."""
        torso, foot = (derived["xipos"][self.model.body(name).id, 2] for name in ("torso", "foot"))
        return tolerance(torso - foot, (STAND_HEIGHT, 2.0))


class HopperHop(HopperStand):
    """Hop forward at 2 m/s."""

    name = "dmc/hopper-hop"

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """Rises with the forward velocity up to `HOP_SPEED`, and is 0 unless the body stands."""
        speed = self.sensors(derived, "torso_subtreelinvel")[0]
        return self.standing(derived) * tolerance(speed, (HOP_SPEED, jnp.inf), HOP_SPEED / 2, "linear", 0.5)

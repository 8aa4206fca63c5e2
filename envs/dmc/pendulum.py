"""Pendulum of the DeepMind Control Suite: swing up."""

import math

import jax
import numpy as np

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

UPRIGHT_COSINE = math.cos(math.radians(8))
"""cosine of the tilt up to which the pole counts as upright"""


class PendulumSwingup(DmcTask):
    """Swing up a pole with a weak motor, from any angle, and hold it there."""

    name = "dmc/pendulum-swingup"
    control_timestep = 0.02
    warp_buffers = (8, 8)
    reads = ("xmat",)

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Cosine and sine of the pole's tilt, and its velocity."""
        return [self.frame(derived, "pole")[np.array([2, 0]), 2], physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """1 while the pole is upright, else 0."""
        return tolerance(self.frame(derived, "pole")[2, 2], (UPRIGHT_COSINE, 1.0))

"""Walker of the DeepMind Control Suite, two legs in a plane: stand, walk, run."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

STAND_HEIGHT = 1.2
"""height of the torso from which the reward for standing is 1 (m)"""


class Walker(DmcTask):
    """Stand, and move forward at a speed."""

    control_timestep = 0.025
    warp_buffers = (24, 48)
    reads = ("xmat", "xpos", "sensordata")
    speed: ClassVar[float]
    """forward speed from which the reward for moving is 1 (m/s); 0: the body should stand"""

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Cosines and sines of the tilts of all body parts, the torso's height, and velocities."""
        tilts = derived["xmat"].reshape(-1, 3, 3)[1:, 0, np.array([0, 2])]
        return [tilts, self._height(derived), physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the torso is high and upright and the body moves at ``speed``."""
        standing = tolerance(self._height(derived), (STAND_HEIGHT, jnp.inf), STAND_HEIGHT / 2)
        upright = (1 + self.frame(derived, "torso")[2, 2]) / 2
        stand = (3 * standing + upright) / 4
        if self.speed == 0:
            return stand
        forward = self.sensors(derived, "torso_subtreelinvel")[0]
        return stand * (5 * tolerance(forward, (self.speed, jnp.inf), self.speed / 2, "linear", 0.5) + 1) / 6

    def _height(self, derived: Derived) -> jax.Array:
        return derived["xpos"][self.model.body("torso").id, 2]


class WalkerStand(Walker):
    """Stand."""

    name = "dmc/walker-stand"
    speed = 0.0


class WalkerWalk(Walker):
    """Walk at 1 m/s."""

    name = "dmc/walker-walk"
    speed = 1.0


class WalkerRun(Walker):
    """Run at 8 m/s."""

    name = "dmc/walker-run"
    speed = 8.0

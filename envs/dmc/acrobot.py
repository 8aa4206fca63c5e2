"""Acrobot of the DeepMind Control Suite: swing up a double pendulum by a motor at its elbow."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info


class AcrobotSwingup(DmcTask):
    """Bring the tip to the target above, from any pose, and hold it there. The reward falls smoothly with the distance."""

    name = "dmc/acrobot-swingup"
    control_timestep = 0.01
    warp_buffers = (8, 8)
    reads = ("xmat", "site_xpos")
    margin: ClassVar[float] = 1.0
    """distance from the target at which the reward is 0.1 (m); 0: there is none outside the target"""

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Sines and cosines of the tilts of both arms, and velocities."""
        axes = jnp.stack([self.frame(derived, arm)[:, 2] for arm in ("upper_arm", "lower_arm")])
        return [axes[:, 0], axes[:, 2], physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the tip is at the target."""
        target, tip = derived["site_xpos"][np.array([self.model.site(name).id for name in ("target", "tip")])]
        return tolerance(jnp.linalg.norm(target - tip), (0.0, self.model.site("target").size[0]), self.margin)


class AcrobotSwingupSparse(AcrobotSwingup):
    """Bring the tip to the target above, from any pose, and hold it there. The reward is 1 in the target and 0 elsewhere."""

    name = "dmc/acrobot-swingup_sparse"
    margin = 0.0

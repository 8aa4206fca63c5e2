"""Humanoid of the DeepMind Control Suite: stand, walk, run."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import smallness, tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

STAND_HEIGHT = 1.4
"""height of the head from which the reward for standing is 1 (m)"""


class Humanoid(DmcTask):
    """Stand, and move at a speed."""

    control_timestep = 0.025
    warp_buffers = (32, 72)
    camera = "side"
    reads = ("xmat", "xpos", "sensordata")
    speed: ClassVar[float]
    """horizontal speed from which the reward for moving is 1 (m/s); 0: the body should stand still"""

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws a pose and an orientation in which nothing touches. The body is at rest in the air."""
        return self.draw_free_of_contact(key, self.random_joints), jnp.zeros(self.model.nv), {}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Joint angles, height of the head, hands and feet in the torso's frame, the vertical, and velocities."""
        torso, place = self.frame(derived, "torso"), self.model.body
        limbs = [place(side + limb).id for side in ("left_", "right_") for limb in ("hand", "foot")]
        return [
            physics.qpos[7:],
            self._head_height(derived),
            (derived["xpos"][jnp.array(limbs)] - derived["xpos"][place("torso").id]) @ torso,
            torso[2],
            self._velocity(derived),
            physics.qvel,
        ]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the body stands upright and moves at ``speed`` with small controls."""
        standing = tolerance(self._head_height(derived), (STAND_HEIGHT, jnp.inf), STAND_HEIGHT / 4)
        upright = tolerance(self.frame(derived, "torso")[2, 2], (0.9, jnp.inf), 1.9, "linear", 0.0)
        small_control = (4 + smallness(ctrl)) / 5
        horizontal = self._velocity(derived)[:2]
        if self.speed == 0:
            move = tolerance(horizontal, margin=2.0).mean()
        else:
            speed = jnp.linalg.norm(horizontal)
            move = (5 * tolerance(speed, (self.speed, jnp.inf), self.speed, "linear", 0.0) + 1) / 6
        return small_control * standing * upright * move

    def _head_height(self, derived: Derived) -> jax.Array:
        return derived["xpos"][self.model.body("head").id, 2]

    def _velocity(self, derived: Derived) -> jax.Array:
        """``[3]`` velocity of the centre of mass (m/s)."""
        return self.sensors(derived, "torso_subtreelinvel")


class HumanoidStand(Humanoid):
    """Stand still."""

    name = "dmc/humanoid-stand"
    speed = 0.0


class HumanoidWalk(Humanoid):
    """Walk at 1 m/s."""

    name = "dmc/humanoid-walk"
    speed = 1.0


class HumanoidRun(Humanoid):
    """Run at 10 m/s."""

    name = "dmc/humanoid-run"
    speed = 10.0


class HumanoidRunPureState(HumanoidRun):
    """Run at 10 m/s. Only positions and velocities are observed."""

    name = "dmc/humanoid-run_pure_state"

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Positions and velocities."""
        return [physics.qpos, physics.qvel]

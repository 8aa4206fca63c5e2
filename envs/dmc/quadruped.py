"""Quadruped of the DeepMind Control Suite: walk, run."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

EPISODE_SECONDS = 20
"""length of an episode (s)"""
LIFT = 0.01
"""step in which the body is lifted until nothing touches (m)"""


class Quadruped(DmcTask):
    """Move forward at a speed, and stay upright."""

    control_timestep = 0.02
    warp_buffers = (16, 40)
    camera = "x"
    reads = ("xmat", "sensordata")
    speed: ClassVar[float]
    """forward speed from which the reward for moving is 1 (m/s)"""

    def xml_and_assets(self, suite: Any) -> tuple[str | bytes, dict[str, bytes]]:
        """The body alone, on a floor so large that it cannot run off it."""
        return suite.make_model(floor_size=EPISODE_SECONDS * self.speed), suite.common.ASSETS

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """The reference pose in a random orientation, at the lowest height at which nothing touches. The body is at rest."""
        quaternion = jax.random.normal(key, (4,))
        quaternion /= jnp.linalg.norm(quaternion)
        joints = jnp.asarray(self.model.qpos0[7:], jnp.float32)

        def at(lifts: jax.Array) -> jax.Array:
            return jnp.concatenate([jnp.array([0.0, 0.0, LIFT * lifts]), quaternion, joints])

        lifts = jax.lax.while_loop(lambda lifts: self.touches(at(lifts)), lambda lifts: lifts + 1, jnp.zeros(()))
        return at(lifts), jnp.zeros(self.model.nv), {}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Joints, activations, the torso's velocity, how upright it is, inertial sensors, forces and torques at the toes."""
        return [
            physics.qpos[7:],
            physics.qvel[6:],
            physics.act,
            self.sensors(derived, "velocimeter"),
            self.frame(derived, "torso")[2, 2],
            self.sensors(derived, "imu_accel", "imu_gyro"),
            jnp.arcsinh(self.sensors(derived, *self._toe_sensors())),
        ]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the body moves forward at ``speed`` and is upright."""
        forward = self.sensors(derived, "velocimeter")[0]
        upright = tolerance(self.frame(derived, "torso")[2, 2], (1.0, jnp.inf), 2.0, "linear", 0.0)
        return upright * tolerance(forward, (self.speed, jnp.inf), self.speed, "linear", 0.5)

    def _toe_sensors(self) -> list[str]:
        kinds = (mujoco.mjtSensor.mjSENS_FORCE, mujoco.mjtSensor.mjSENS_TORQUE)
        return [self.model.sensor(index).name for index in np.flatnonzero(np.isin(self.model.sensor_type, kinds))]


class QuadrupedWalk(Quadruped):
    """Walk at 0.5 m/s."""

    name = "dmc/quadruped-walk"
    speed = 0.5


class QuadrupedRun(Quadruped):
    """Run at 5 m/s."""

    name = "dmc/quadruped-run"
    speed = 5.0

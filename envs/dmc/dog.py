"""Dog of the DeepMind Control Suite: stand, walk, trot, run. The engine mjx cannot simulate it; the others can."""

import dataclasses
import functools
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

UPRIGHT_COSINE = math.cos(math.radians(30))
"""cosine of the tilt up to which a body part counts as upright"""
STAND_FRACTION = 0.9
"""share of its height in the reference pose from which a part of the body counts as standing"""
EPISODE_SECONDS = 15
TOUCH = ("palm_L", "palm_R", "sole_L", "sole_R")
"""sensors of touch at the feet"""


class Dog(DmcTask):
    """Stand on four feet, and move forward at a speed."""

    control_timestep = 0.015
    warp_buffers = (96, 320)
    engines = ("warp", "native")
    reads = ("xmat", "xpos", "sensordata")
    speed: ClassVar[float]
    """forward speed from which the reward for moving is 1 (m/s); 0: the dog should stand"""

    def xml_and_assets(self, suite: Any) -> tuple[str | bytes, dict[str, bytes]]:
        """The dog without the ball, on a floor so large that it cannot run off it."""
        return suite.get_model_and_assets(floor_size=int(max(self.speed, 1.0)) * EPISODE_SECONDS)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """The reference pose turned to a random direction, with a random velocity in the plane and random activations."""
        key_azimuth, key_velocity, key_act = jax.random.split(key, 3)
        half = jax.random.uniform(key_azimuth, maxval=2 * jnp.pi) / 2
        qpos = jnp.asarray(self.model.qpos0, jnp.float32).at[3:7].set(jnp.array([jnp.cos(half), 0.0, 0.0, jnp.sin(half)]))
        qvel = jnp.zeros(self.model.nv).at[jnp.array([0, 1, 5])].set(2 * jax.random.normal(key_velocity, (3,)))
        act = self.to_ctrl(jax.random.uniform(key_act, (self.model.na,), minval=-1.0))
        return qpos, qvel, {"start_act": act}

    def _reset_physics(self, qpos: jax.Array, qvel: jax.Array, info: Info) -> tuple[PhysicsState, Derived]:
        """Adds the activations that were drawn. They have no effect before the first step."""
        physics, derived = super()._reset_physics(qpos, qvel, info)
        return dataclasses.replace(physics, act=info["start_act"]), derived

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Joints, heights, the vertical, velocities, forces and touch at the feet, and activations."""
        return [
            physics.qpos[7:],
            physics.qvel[6:],
            self._heights(derived),
            self._verticals(derived),
            self._velocity(derived),
            self.sensors(derived, "accelerometer", "velocimeter", "gyro"),
            self.sensors(derived, "foot_L", "foot_R", "hand_L", "hand_R"),
            self.sensors(derived, *TOUCH),
            physics.act,
        ]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the dog stands high and upright with its weight on the feet, and moves forward at ``speed``."""
        heights, weight = self._standing
        standing = [
            tolerance(height, (stand, jnp.inf), stand) for height, stand in zip(self._heights(derived), heights, strict=True)
        ]
        upright = tolerance(
            self._verticals(derived)[:, 2], (UPRIGHT_COSINE, jnp.inf), UPRIGHT_COSINE + 1, "linear", 0.0
        ).prod()
        touch = tolerance(self.sensors(derived, *TOUCH).sum(), (weight, jnp.inf), weight, "linear", 0.9)
        reward = standing[0] * standing[1] * upright * touch
        if self.speed > 0:
            bounds = (self.speed, 2 * self.speed)
            forward = tolerance(self._velocity(derived)[0], bounds, max(1.0, self.speed), "linear", 0.0)
            reward *= (4 * forward + 1) / 5
        return reward

    @functools.cached_property
    def _standing(self) -> tuple[list[float], float]:
        """Of a dog that stands: the heights of torso and pelvis (m), and the force on the feet (N)."""
        data = mujoco.MjData(self.model)
        mujoco.mj_kinematics(self.model, data)
        heights = [STAND_FRACTION * float(data.body(name).xpos[2]) for name in ("torso", "pelvis")]
        return heights, float(-self.model.opt.gravity[2] * self.model.body("torso").subtreemass[0])

    def _heights(self, derived: Derived) -> jax.Array:
        """``[2]`` heights of torso and pelvis (m)."""
        return derived["xpos"][np.array([self.model.body(name).id for name in ("torso", "pelvis")]), 2]

    def _verticals(self, derived: Derived) -> jax.Array:
        """``[3, 3]`` the vertical in the frames of skull, torso and pelvis."""
        return jnp.stack([self.frame(derived, body)[2] for body in ("skull", "torso", "pelvis")])

    def _velocity(self, derived: Derived) -> jax.Array:
        """``[3]`` velocity of the centre of mass in the torso's frame, forward first (m/s)."""
        return self.sensors(derived, "torso_linvel") @ self.frame(derived, "torso")


class DogStand(Dog):
    """Stand."""

    name = "dmc/dog-stand"
    speed = 0.0


class DogWalk(Dog):
    """Walk at 1 m/s."""

    name = "dmc/dog-walk"
    speed = 1.0


class DogTrot(Dog):
    """Trot at 3 m/s."""

    name = "dmc/dog-trot"
    speed = 3.0


class DogRun(Dog):
    """Run at 9 m/s."""

    name = "dmc/dog-run"
    speed = 9.0

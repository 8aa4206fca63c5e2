"""Cheetah of the DeepMind Control Suite: run."""

import jax
import jax.numpy as jnp

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

SETTLING_STEPS = 200
"""physics steps without control before an episode starts"""
RUN_SPEED = 10.0
"""speed from which the reward is 1 (m/s)"""


class CheetahRun(DmcTask):
    """Run at 10 m/s."""

    name = "dmc/cheetah-run"
    control_timestep = 0.01
    warp_buffers = (8, 24)
    reads = ("sensordata",)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws limited joints anywhere in their ranges, then lets the body settle for two seconds without control."""
        reference = jnp.asarray(self.model.qpos0, jnp.float32)
        qpos = jnp.where(jnp.asarray(self.model.jnt_limited, bool), self.random_joints(key), reference)
        physics, _ = self.engine.init(qpos, jnp.zeros(self.model.nv))
        physics, _ = self.engine.step(physics, jnp.zeros(self.model.nu), SETTLING_STEPS)
        return physics.qpos, physics.qvel, {}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Positions without the horizontal one, and velocities."""
        return [physics.qpos[1:], physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """Rises with the forward velocity up to `RUN_SPEED`."""
        speed = self.sensors(derived, "torso_subtreelinvel")[0]
        return tolerance(speed, (RUN_SPEED, jnp.inf), RUN_SPEED, "linear", 0.0)

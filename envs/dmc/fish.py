"""Fish of the DeepMind Control Suite: stay upright, or swim to a target."""

import jax
import jax.numpy as jnp

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info


class FishUpright(DmcTask):
    """Keep the torso upright."""

    name = "dmc/fish-upright"
    control_timestep = 0.04
    warp_buffers = (8, 8)
    reads: tuple[str, ...] = ("xmat",)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws the body's orientation, with tail and fins nearly straight. Everything is at rest."""
        key_turn, key_joints = jax.random.split(key)
        quaternion = jax.random.normal(key_turn, (4,))
        joints = jax.random.uniform(key_joints, (self.model.nq - 7,), minval=-0.2, maxval=0.2)
        place = jnp.asarray(self.model.qpos0[:3], jnp.float32)
        qpos = jnp.concatenate([place, quaternion / jnp.linalg.norm(quaternion), joints])
        return qpos, jnp.zeros(self.model.nv), {}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Joint angles, how upright the torso is, and velocities."""
        return [physics.qpos[7:], self.upright(derived), physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the torso is upright."""
        return tolerance(self.upright(derived), (1.0, 1.0), 1.0)

    def upright(self, derived: Derived) -> jax.Array:
        """[] cosine of the torso's tilt."""
        return self.frame(derived, "torso")[2, 2]


class FishSwim(FishUpright):
    """Swim to a target."""

    name = "dmc/fish-swim"
    reads = ("xmat", "geom_xpos", "geom_xmat")

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws the pose as `FishUpright` does, and a target anywhere in a box."""
        key_pose, key_target = jax.random.split(key)
        low, high = jnp.array([-0.4, -0.4, 0.1]), jnp.array([0.4, 0.4, 0.3])
        target = jax.random.uniform(key_target, (3,), minval=low, maxval=high)
        geom_pos = jnp.asarray(self.model.geom_pos, jnp.float32).at[self.model.geom("target").id].set(target)
        return *super().reset_pose(key_pose)[:2], {"model": {"geom_pos": geom_pos}}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Joint angles, how upright the torso is, the target in the mouth's frame, and velocities."""
        return [physics.qpos[7:], self.upright(derived), self._to_target(derived), physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the mouth is at the target; a small part is for being upright."""
        radii = self.model.geom("mouth").size[0] + self.model.geom("target").size[0]
        in_target = tolerance(jnp.linalg.norm(self._to_target(derived)), (0.0, radii), 2 * radii)
        return (7 * in_target + (self.upright(derived) + 1) / 2) / 8

    def _to_target(self, derived: Derived) -> jax.Array:
        """``[3]`` place of the target in the mouth's frame (m)."""
        mouth, target = (self.model.geom(name).id for name in ("mouth", "target"))
        offset = derived["geom_xpos"][target] - derived["geom_xpos"][mouth]
        return offset @ derived["geom_xmat"].reshape(-1, 3, 3)[mouth]

"""Point mass of the DeepMind Control Suite: move to the middle."""

import jax
import jax.numpy as jnp

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import smallness, tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info, draw_until


class PointMassEasy(DmcTask):
    """Move to the middle. Each control drives one axis."""

    name = "dmc/point_mass-easy"
    control_timestep = 0.02
    warp_buffers = (8, 8)
    reads = ("geom_xpos",)

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Positions and velocities."""
        return [physics.qpos, physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the mass is near the target and the controls are small."""
        target, mass = (derived["geom_xpos"][self.model.geom(name).id] for name in ("target", "pointmass"))
        size = self.model.geom("target").size[0]
        near = tolerance(jnp.linalg.norm(target - mass), (0.0, size), size)
        return near * (smallness(ctrl) + 4) / 5


class PointMassHard(PointMassEasy):
    """Move to the middle. Each control drives a direction that differs from episode to episode."""

    name = "dmc/point_mass-hard"
    engines = ("native",)  # MJX compiles the tendons into the program, so they cannot differ between episodes

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws a place, and two directions that are not too parallel. The mass is at rest."""
        key_pose, key_first, key_second = jax.random.split(key, 3)
        first = _direction(key_first)
        second = draw_until(key_second, _direction, lambda second: jnp.abs(first @ second) <= 0.9)
        return *super().reset_pose(key_pose)[:2], {"model": {"wrap_prm": jnp.concatenate([first, second])}}


def _direction(key: jax.Array) -> jax.Array:
    """Draws a unit vector ``[2]``."""
    direction = jax.random.normal(key, (2,))
    return direction / jnp.linalg.norm(direction)

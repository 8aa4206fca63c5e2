"""Inverted pendulum: a cart that keeps one pole upright (Gymnasium's InvertedPendulum)."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info, MujocoTask
from envs.tasks.task_args import TaskArgs


@dataclasses.dataclass(frozen=True)
class InvertedPendulumArgs(TaskArgs):
    """Arguments of InvertedPendulum-v5."""

    reset_noise_scale: float = 0.01
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""


class InvertedPendulum(MujocoTask):
    """Keep the pole within 0.2 rad of upright (InvertedPendulum-v5)."""

    name = "inverted_pendulum"
    xml = "inverted_pendulum.xml"
    frame_skip = 2
    mjx_iterations = (2, 6)
    warp_buffers = (8, 8)
    gymnasium_id = "InvertedPendulum-v5"
    pays_for_fall: ClassVar[bool] = False
    """whether the step that ends an episode is rewarded too, as in v4"""
    Args = InvertedPendulumArgs

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """Positions and velocities."""
        return jnp.concatenate([physics.qpos, physics.qvel])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """1 for each step upright."""
        finite = jnp.isfinite(physics.qpos).all() & jnp.isfinite(physics.qvel).all()
        upright = (jnp.abs(physics.qpos[1]) <= 0.2) & finite
        return {"reward_survive": 1.0 * (upright | self.pays_for_fall)}, ~upright


class InvertedPendulumV4(InvertedPendulum):
    """InvertedPendulum-v4: the step that ends an episode is rewarded too."""

    name = "inverted_pendulum-v4"
    gymnasium_id = "InvertedPendulum-v4"
    pays_for_fall = True

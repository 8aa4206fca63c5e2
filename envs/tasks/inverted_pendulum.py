"""Inverted pendulum: a cart that keeps one pole upright (Gymnasium's InvertedPendulum-v5)."""

import dataclasses

import jax
import jax.numpy as jnp

from envs.physics import Derived, PhysicsState
from envs.tasks.mujoco_task import MujocoTask, TaskArgs


@dataclasses.dataclass(frozen=True)
class InvertedPendulumArgs(TaskArgs):
    """Arguments of InvertedPendulum-v5."""

    reset_noise_scale: float = 0.01
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""


class InvertedPendulum(MujocoTask):
    """Keep the pole within 0.2 rad of upright."""

    name = "inverted_pendulum"
    xml = "inverted_pendulum.xml"
    frame_skip = 2
    mjx_iterations = (2, 6)
    gymnasium_id = "InvertedPendulum-v5"
    Args = InvertedPendulumArgs

    def observe(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """Positions and velocities."""
        return jnp.concatenate([physics.qpos, physics.qvel])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, velocity: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """One per step upright."""
        upright = (jnp.abs(physics.qpos[1]) <= 0.2) & jnp.isfinite(self.observe(physics, derived)).all()
        return {"reward_survive": 1.0 * upright}, ~upright

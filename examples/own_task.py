"""A task of your own: keep the pole upright and the cart in the middle.

Train it with ``mjx-tecrl train --env examples/own_task.py:CentredPendulum``.
"""

import dataclasses

import jax
import jax.numpy as jnp

import envs
from envs import Derived, Info, PhysicsState


@dataclasses.dataclass(frozen=True)
class CentredPendulumArgs(envs.TaskArgs):
    """Arguments of the task. Each becomes a flag, such as ``--env.distance-weight``."""

    distance_weight: float = 2.0
    """cost per squared metre from the middle"""
    reset_noise_scale: float = 0.05
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""


class CentredPendulum(envs.MujocoTask):
    """Runs on every physics engine as it stands."""

    name = "centred_pendulum"
    xml = "inverted_pendulum.xml"  # a model file of Gymnasium, or the path of your own MJCF file
    frame_skip = 2  # physics steps per action
    episode_length = 500
    Args = CentredPendulumArgs

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """Positions and velocities."""
        return jnp.concatenate([physics.qpos, physics.qvel])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """The reward's terms (each is logged; their sum is the reward), and whether the episode terminates."""
        cart, pole = physics.qpos
        fallen = ~(jnp.abs(pole) < 0.4)  # written so that NaN counts as fallen
        return {"upright": jnp.cos(pole), "middle": -self.args.distance_weight * cart**2}, fallen

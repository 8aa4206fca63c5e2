"""Inverted double pendulum: a cart that keeps two jointed poles upright (Gymnasium's InvertedDoublePendulum)."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info, MujocoTask
from envs.tasks.task_args import TaskArgs


@dataclasses.dataclass(frozen=True)
class InvertedDoublePendulumArgs(TaskArgs):
    """Arguments of InvertedDoublePendulum-v5."""

    healthy_reward: float = 10.0
    """reward per step upright"""
    reset_noise_scale: float = 0.1
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""


class InvertedDoublePendulum(MujocoTask):
    """Keep the tip above 1 m, near the middle and still. A perfect return is 9360 (InvertedDoublePendulum-v5)."""

    name = "inverted_double_pendulum"
    xml = "inverted_double_pendulum.xml"
    frame_skip = 5
    qvel_noise = staticmethod(jax.random.normal)
    mjx_iterations = (2, 6)
    warp_buffers = (8, 8)
    gymnasium_id = "InvertedDoublePendulum-v5"
    pays_for_fall: ClassVar[bool] = False
    """whether the step that ends an episode is rewarded too, as in v4"""
    observed_forces: ClassVar[int] = 1
    """number of joints, the first ones, whose constraint force is observed"""
    Args = InvertedDoublePendulumArgs

    @property
    def reads(self) -> tuple[str, ...]:
        """The tip's position, and the force that keeps the cart on its rail."""
        return ("site_xpos", "qfrc_constraint")

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """The cart's position, sines and cosines of the angles, clipped velocities, and clipped constraint forces."""
        return jnp.concatenate(
            [
                physics.qpos[:1],
                jnp.sin(physics.qpos[1:]),
                jnp.cos(physics.qpos[1:]),
                jnp.clip(physics.qvel, -10, 10),
                jnp.clip(derived["qfrc_constraint"][: self.observed_forces], -10, 10),
            ]
        )

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Reward for being upright, minus the tip's distance from its highest point, minus joint velocities."""
        x, _, y = derived["site_xpos"][0]
        upright = y > 1
        _, v1, v2 = physics.qvel
        terms = {
            "reward_survive": self.args.healthy_reward * (upright | self.pays_for_fall),
            "distance_penalty": -(0.01 * x**2 + (y - 2) ** 2),
            "velocity_penalty": -(1e-3 * v1**2 + 5e-3 * v2**2),
        }
        return terms, ~upright


class InvertedDoublePendulumV4(InvertedDoublePendulum):
    """InvertedDoublePendulum-v4: all constraint forces are observed, and the step that ends an episode is rewarded too."""

    name = "inverted_double_pendulum-v4"
    gymnasium_id = "InvertedDoublePendulum-v4"
    pays_for_fall = True
    observed_forces = 3

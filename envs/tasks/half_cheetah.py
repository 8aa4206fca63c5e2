"""Half-cheetah: two legs and a spine that run forward (Gymnasium's HalfCheetah-v5)."""

import dataclasses

import jax
import jax.numpy as jnp

from envs.physics import Derived, PhysicsState
from envs.tasks.mujoco_task import MujocoTask, TaskArgs


@dataclasses.dataclass(frozen=True)
class HalfCheetahArgs(TaskArgs):
    """Arguments of HalfCheetah-v5."""

    forward_reward_weight: float = 1.0
    """reward per m/s forward"""
    ctrl_cost_weight: float = 0.1
    """cost per squared control"""
    reset_noise_scale: float = 0.1
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""
    exclude_current_positions_from_observation: bool = True
    """leave the forward coordinate out of the observation"""


class HalfCheetah(MujocoTask):
    """Run forward; there is no early end."""

    name = "half_cheetah"
    xml = "half_cheetah.xml"
    frame_skip = 5
    qvel_noise = staticmethod(jax.random.normal)
    mjx_iterations = (20, 8)
    gymnasium_id = "HalfCheetah-v5"
    camera = "track"
    Args = HalfCheetahArgs

    def observe(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """Positions and velocities."""
        first = int(self.args.exclude_current_positions_from_observation)
        return jnp.concatenate([physics.qpos[first:], physics.qvel])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, velocity: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Forward velocity minus control."""
        terms = {
            "reward_forward": self.args.forward_reward_weight * velocity[0],
            "reward_ctrl": -self.args.ctrl_cost_weight * jnp.sum(ctrl**2),
        }
        return terms, jnp.zeros((), bool)

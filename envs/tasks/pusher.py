"""Pusher: a seven-jointed arm that pushes a puck to a goal (Gymnasium's Pusher)."""

import dataclasses

import jax
import jax.numpy as jnp

from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info, MujocoTask, draw_until
from envs.tasks.task_args import TaskArgs


@dataclasses.dataclass(frozen=True)
class PusherArgs(TaskArgs):
    """Arguments of Pusher-v5."""

    reward_near_weight: float = 0.5
    """cost per metre between fingertip and puck"""
    reward_dist_weight: float = 1.0
    """cost per metre between puck and goal"""
    reward_control_weight: float = 0.1
    """cost per squared control"""


class Pusher(MujocoTask):
    """Push the puck to the goal (Pusher-v5)."""

    name = "pusher"
    xml = "pusher_v5.xml"
    frame_skip = 5
    warp_buffers = (24, 16)
    episode_length = 100
    gymnasium_id = "Pusher-v5"
    Args = PusherArgs

    @property
    def reads(self) -> tuple[str, ...]:
        """Where the bodies are."""
        return ("xpos",)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """The arm in its reference pose, the goal at the origin, and the puck near it, but not closer than 0.17 m."""
        key_puck, key_qvel = jax.random.split(key)
        low, high = jnp.array([-0.3, -0.2]), jnp.array([0.0, 0.2])
        puck = draw_until(
            key_puck,
            lambda key: jax.random.uniform(key, (2,), minval=low, maxval=high),
            lambda puck: jnp.linalg.norm(puck) > 0.17,
        )
        qpos = jnp.asarray(self.model.qpos0, jnp.float32).at[-4:].set(jnp.array([*puck, 0.0, 0.0]))
        qvel = jax.random.uniform(key_qvel, (self.model.nv,), minval=-0.005, maxval=0.005).at[-4:].set(0.0)
        return qpos, qvel, {}

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """Positions and velocities of the arm, and the places of fingertip, puck and goal."""
        places = [self._place(derived, body) for body in ("tips_arm", "object", "goal")]
        return jnp.concatenate([physics.qpos[:7], physics.qvel[:7], *places])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Minus the puck's distances from the goal and from the fingertip, minus the squared control."""
        puck = self._place(derived, "object")
        terms = {
            "reward_dist": -self.args.reward_dist_weight * jnp.linalg.norm(puck - self._place(derived, "goal")),
            "reward_ctrl": -self.args.reward_control_weight * jnp.sum(ctrl**2),
            "reward_near": -self.args.reward_near_weight * jnp.linalg.norm(puck - self._place(derived, "tips_arm")),
        }
        return terms, jnp.zeros((), bool)

    def _place(self, derived: Derived, body: str) -> jax.Array:
        return derived["xpos"][self.model.body(body).id]

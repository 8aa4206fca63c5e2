"""Ball in cup of the DeepMind Control Suite: swing a ball on a string into the cup."""

import jax
import jax.numpy as jnp
import numpy as np

from envs.dmc.dmc_task import DmcTask
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info


class BallInCupCatch(DmcTask):
    """Catch the ball in the cup and keep it there."""

    name = "dmc/ball_in_cup-catch"
    control_timestep = 0.02
    warp_buffers = (16, 24)
    reads = ("xpos", "site_xpos")

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws a place for the ball near the cup where it touches nothing. Everything is at rest."""
        return self.draw_free_of_contact(key, self.random_ball), jnp.zeros(self.model.nv), {}

    def random_ball(self, key: jax.Array) -> jax.Array:
        """Draws positions ``[nq]`` with the ball anywhere near the cup."""
        place = jax.random.uniform(key, (2,), minval=jnp.array([-0.2, 0.2]), maxval=jnp.array([0.2, 0.5]))
        ball = np.array([self.model.joint(name).qposadr[0] for name in ("ball_x", "ball_z")])
        return jnp.asarray(self.model.qpos0, jnp.float32).at[ball].set(place)

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Positions and velocities."""
        return [physics.qpos, physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """1 while the whole ball is in the cup, else 0."""
        offset = derived["site_xpos"][self.model.site("target").id] - derived["xpos"][self.model.body("ball").id]
        room = self.model.site("target").size - self.model.geom("ball").size[0]
        return jnp.all(jnp.abs(offset) < room, where=jnp.array([True, False, True])).astype(jnp.float32)

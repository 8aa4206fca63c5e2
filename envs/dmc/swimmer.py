"""Swimmer of the DeepMind Control Suite: a chain of 6 or 15 links that swims to a target."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info

HEAD_READINGS = 12
"""number of sensor readings that come before those of the links"""


class Swimmer(DmcTask):
    """Bring the nose to the target and keep it there."""

    control_timestep = 0.03
    warp_buffers = (8, 32)
    reads = ("xmat", "geom_xpos", "sensordata")
    links: ClassVar[int]
    """number of links"""

    def xml_and_assets(self, suite: Any) -> tuple[str | bytes, dict[str, bytes]]:
        """A chain of ``links`` links."""
        return suite.get_model_and_assets(self.links)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws a pose, and a target in a large square, or in one of five episodes in a small one. The body is at rest."""
        key_pose, key_near, key_target = jax.random.split(key, 3)
        limit = jnp.where(jax.random.uniform(key_near) < 0.2, 0.3, 2.0)
        place = limit * jax.random.uniform(key_target, (2,), minval=-1.0)
        geom_pos = jnp.asarray(self.model.geom_pos, jnp.float32).at[self.model.geom("target").id, :2].set(place)
        return *super().reset_pose(key_pose)[:2], {"model": {"geom_pos": geom_pos}}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """Joint angles, the target in the head's frame, and each link's velocity: along it, across it, and of rotation."""
        velocities = derived["sensordata"][HEAD_READINGS:].reshape(-1, 6)[:, np.array([0, 1, 5])]
        return [physics.qpos[3:], self._to_target(derived), velocities]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the nose is near the target."""
        size = self.model.geom("target").size[0]
        return tolerance(jnp.linalg.norm(self._to_target(derived)), (0.0, size), 5 * size, "long_tail")

    def _to_target(self, derived: Derived) -> jax.Array:
        """``[2]`` vector from the nose to the target, in the head's frame (m)."""
        target, nose = (derived["geom_xpos"][self.model.geom(name).id] for name in ("target", "nose"))
        return ((target - nose) @ self.frame(derived, "head"))[:2]


class Swimmer6(Swimmer):
    """A swimmer of 6 links."""

    name = "dmc/swimmer-swimmer6"
    links = 6


class Swimmer15(Swimmer):
    """A swimmer of 15 links."""

    name = "dmc/swimmer-swimmer15"
    links = 15

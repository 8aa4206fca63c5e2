"""Cartpole of the DeepMind Control Suite: balance and swing up one to three poles."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from envs.dmc.dmc_task import DmcTask
from envs.dmc.rewards import smallness, tolerance
from envs.engines import Derived, PhysicsState
from envs.tasks.mujoco_task import Info


class Cartpole(DmcTask):
    """Keep the poles upright and the cart in the middle."""

    control_timestep = 0.01
    warp_buffers = (8, 8)
    reads = ("xmat",)
    poles: ClassVar[int] = 1
    hangs: ClassVar[bool] = False
    """whether the poles hang down at the start (True) or nearly stand (False)"""
    sparse: ClassVar[bool] = False
    """whether the reward is 1 near the goal and 0 elsewhere (True) or smooth (False)"""

    def xml_and_assets(self, suite: Any) -> tuple[str | bytes, dict[str, bytes]]:
        """The cart with ``poles`` poles."""
        return suite.get_model_and_assets(num_poles=self.poles)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """The poles hang or stand, see ``hangs``, with a little noise in positions and velocities."""
        key_qpos, key_qvel = jax.random.split(key)
        qvel = 0.01 * jax.random.normal(key_qvel, (self.model.nv,))
        if self.hangs:
            scale = jnp.array([0.01, 0.01, *[0.1] * (self.poles - 1)])
            qpos = (scale * jax.random.normal(key_qpos, scale.shape)).at[1].add(jnp.pi)
        else:
            limit = jnp.array([0.1, *[0.034] * self.poles])
            qpos = limit * jax.random.uniform(key_qpos, limit.shape, minval=-1.0)
        return qpos, qvel, {}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """The cart's position, cosines and sines of the poles' tilts, and velocities."""
        axes = self._axes(derived)
        return [physics.qpos[0], jnp.stack([axes[:, 2], axes[:, 0]], axis=1), physics.qvel]

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """High while the poles are upright and the cart is central; if smooth, also for small controls and slow poles."""
        cart, cosines = physics.qpos[0], self._axes(derived)[:, 2]
        if self.sparse:
            return tolerance(cart, (-0.25, 0.25)) * tolerance(cosines, (0.995, 1.0)).prod()
        upright = (cosines.mean() + 1) / 2
        centred = (1 + tolerance(cart, margin=2.0)) / 2
        small_control = (4 + smallness(ctrl)) / 5
        slow = (1 + tolerance(physics.qvel[1:], margin=5.0).min()) / 2
        return upright * small_control * slow * centred

    def _axes(self, derived: Derived) -> jax.Array:
        """``[poles, 3]`` the direction in which each pole points."""
        return derived["xmat"].reshape(-1, 3, 3)[2:, :, 2]


class CartpoleBalance(Cartpole):
    """Keep a pole upright that nearly stands at the start."""

    name = "dmc/cartpole-balance"


class CartpoleBalanceSparse(Cartpole):
    """Keep a pole upright that nearly stands at the start. The reward is 1 or 0."""

    name = "dmc/cartpole-balance_sparse"
    sparse = True


class CartpoleSwingup(Cartpole):
    """Swing up a pole that hangs at the start."""

    name = "dmc/cartpole-swingup"
    hangs = True


class CartpoleSwingupSparse(Cartpole):
    """Swing up a pole that hangs at the start. The reward is 1 or 0."""

    name = "dmc/cartpole-swingup_sparse"
    hangs = True
    sparse = True


class CartpoleTwoPoles(Cartpole):
    """Swing up a chain of two poles."""

    name = "dmc/cartpole-two_poles"
    poles = 2
    hangs = True


class CartpoleThreePoles(Cartpole):
    """Swing up a chain of three poles."""

    name = "dmc/cartpole-three_poles"
    poles = 3
    hangs = True

"""MJX-Warp: MuJoCo in NVIDIA's Warp behind MJX's interface, for NVIDIA GPUs (and, slowly, CPU).

Warp allocates contacts and constraints before it knows how many there will be. Too few and it drops some: such a world
steps on wrongly. So each world's `OVERFLOW` is among the derived fields of every step, for the caller to count.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mujoco

from envs.physics.base import NO_FIELDS, OVERFLOW, Derived, ModelFields, PhysicsState
from envs.physics.mjx import MjxPhysics, mjx


class WarpPhysics(MjxPhysics):
    """MJX-Warp with the Newton solver.

    Args:
      model: the compiled model.
      reads: names of the ``mjData`` fields to return; ``cfrc_ext`` is not among those that MJX-Warp computes.
      iterations: solver iterations, None for the model's own.
      ls_iterations: line-search steps per iteration, None for the model's own.
      current: see `MjxPhysics`.
      max_contacts: contacts per world that there is room for, on average over the worlds.
      max_constraints: rows of the constraint Jacobian that there is room for in each world.

    Raises:
      ValueError: ``cfrc_ext`` is to be read, or the model uses a feature MJX-Warp lacks.
      NotImplementedError: Warp is not installed.
    """

    name = "warp"
    impl = "warp"

    def __init__(
        self,
        model: mujoco.MjModel,
        reads: tuple[str, ...],
        iterations: int | None = None,
        ls_iterations: int | None = None,
        current: bool = False,
        max_contacts: int = 32,
        max_constraints: int = 128,
    ):
        if "cfrc_ext" in reads:
            raise ValueError("the warp engine does not compute cfrc_ext; use --physics mjx or native for this task")
        self._max_contacts, self._max_constraints = max_contacts, max_constraints
        super().__init__(model, reads, iterations, ls_iterations, current)

    def init(self, qpos: jax.Array, qvel: jax.Array, fields: ModelFields = NO_FIELDS) -> tuple[PhysicsState, Derived]:
        """See `Physics.init`."""
        return self._for_any_batch(self._init, ())(qpos, qvel, dict(fields))

    def step(
        self, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        """See `Physics.step`; `OVERFLOW` is among the derived fields."""

        def step(blank: mjx.Data, *args: Any) -> tuple[PhysicsState, Derived]:
            return self._step(blank, n_substeps, *args)

        return self._for_any_batch(step, ())(state, ctrl, dict(fields))

    def _for_any_batch(self, function: Callable[..., Any], batch: tuple[int, ...]) -> Callable[..., Any]:
        """``function(blank, *args)`` of one world as one of ``args`` with leading axes ``batch``.

        The contact buffer is shared by all worlds, and how many there are is known only where ``vmap`` meets it.
        """

        @jax.custom_batching.custom_vmap
        def call(*args: Any) -> Any:
            worlds = 1
            for size in batch:
                worlds *= size
            blank = self._make_data(worlds)
            mapped = lambda *args: function(blank, *args)  # noqa: E731
            for _ in batch:
                mapped = jax.vmap(mapped)
            return mapped(*args)

        @call.def_vmap
        def rule(size: int, in_batched: Any, *args: Any) -> tuple[Any, Any]:
            def spread(x: jax.Array, batched: bool) -> jax.Array:
                return x if batched else jnp.broadcast_to(x, (size, *jnp.shape(x)))

            out = self._for_any_batch(function, (size, *batch))(*jax.tree.map(spread, args, tuple(in_batched)))
            return out, jax.tree.map(lambda _: True, out)

        return call

    def _put_model(self) -> mjx.Model:
        try:
            import warp
        except ImportError as error:
            raise NotImplementedError("the warp engine needs Warp: pip install 'mjx-tecrl[warp]'") from error
        warp.config.log_level = warp.LOG_WARNING  # or it reports every kernel that it loads
        return super()._put_model().tree_replace({"opt._impl.warn_overflow": 0})  # counted instead of printed

    def _make_data(self, worlds: int) -> mjx.Data:
        return mjx.make_data(self.model, impl=self.impl, naconmax=worlds * self._max_contacts, njmax=self._max_constraints)

    def _computes_accelerations(self) -> bool:
        return True

    def _renew(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        return mjx.forward(model, data)  # MJX-Warp has no part of it

    def _unpack(self, data: mjx.Data) -> tuple[PhysicsState, Derived]:
        state, derived = super()._unpack(data)
        return state, derived | {OVERFLOW: data._impl.overflow != 0}

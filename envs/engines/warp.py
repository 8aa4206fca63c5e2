"""MJX-Warp: MuJoCo written in NVIDIA's Warp, behind MJX's interface, for NVIDIA GPUs. It also runs on the CPU, but slowly.

Warp allocates room for contacts and constraints before it knows how many there will be. If the room is too small it drops
some, and the world goes on with wrong physics. So every step returns the derived field `OVERFLOW` of each world, for the
caller to count.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.engines.base import OVERFLOW, Derived, ModelFields, PhysicsState
from envs.engines.mjx import MjxEngine, pack
from envs.engines.mjx_import import mjx
from envs.engines.support import WARP_DIFFERS, WARP_LACKS
from envs.engines.worlds import over_worlds


class WarpEngine(MjxEngine):
    """MJX-Warp with the Newton solver.

    Args:
      model: the compiled model.
      reads: names of the ``mjData`` fields to return. MJX-Warp does not compute ``cfrc_ext``.
      iterations: solver iterations; None for the model's own.
      ls_iterations: line-search steps in each iteration; None for the model's own.
      current: see `envs.engines.make_engine`.
      max_contacts: contacts in each world that there is room for, on average over the worlds.
      max_constraints: rows of the constraint Jacobian in each world that there is room for.

    Raises:
      ValueError: ``reads`` has ``cfrc_ext``, or the model uses a feature that MJX-Warp lacks.
      NotImplementedError: Warp is not installed.
    """

    name = "warp"
    impl = "warp"
    lacks = WARP_LACKS
    differs = WARP_DIFFERS

    def __init__(
        self,
        model: mujoco.MjModel,
        reads: tuple[str, ...],
        iterations: int | None = None,
        ls_iterations: int | None = None,
        current: bool = False,
        max_contacts: int = 64,
        max_constraints: int = 256,
    ):
        if "cfrc_ext" in reads:
            raise ValueError("the warp engine does not compute cfrc_ext, mjx and native do")
        self._max_contacts, self._max_constraints = max_contacts, max_constraints
        super().__init__(model, reads, iterations, ls_iterations, current)

    def _put_model(self) -> mjx.Model:
        try:
            import warp
        except ImportError as error:
            raise NotImplementedError("the warp engine needs Warp: pip install 'mjx-tecrl[warp]'") from error
        warp.config.log_level = warp.LOG_WARNING  # otherwise it reports every kernel that it loads
        # On a GPU Warp captures its kernels in a graph of its own. MJX would ask the device on which the model lies, which
        # is a CPU where a program is compiled for a card that is not there.
        modes = warp.JaxCallableGraphMode
        mode = modes.JAX if jax.default_backend() == "cpu" else modes.WARP
        with self._refusals():
            model = mjx.put_model(self.model, impl=self.impl, graph_mode=mode)
        return model.tree_replace({"opt._impl.warn_overflow": 0})  # overflows are counted, not printed

    def _make_data(self, worlds: int) -> mjx.Data:
        with self._refusals():
            return mjx.make_data(
                self.model, impl=self.impl, naconmax=worlds * self._max_contacts, njmax=self._max_constraints
            )

    def _all_worlds(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def together(*args: Any) -> Any:
            blank = self._make_data(len(jax.tree.leaves(args)[0]))  # all worlds share the buffer of contacts
            return jax.vmap(functools.partial(function, blank))(*args)

        return over_worlds(together)

    def _with_fields(self, blank: mjx.Data, fields: ModelFields) -> mjx.Data:
        """Places the geoms that are fixed to the world, which Warp does only once, when it makes the data.

        Raises:
          ValueError: ``fields`` has another field on which those places depend; that is not implemented.
        """
        refused = sorted({"geom_quat", "body_pos", "body_quat"} & fields.keys())
        if refused:
            raise ValueError(
                f"on the warp engine worlds cannot differ in mjModel.{', mjModel.'.join(refused)}: use mjx or native"
            )
        blank = super()._with_fields(blank, fields)
        if "geom_pos" not in fields:
            return blank
        model = self.model
        fixed = np.flatnonzero(
            (model.body_weldid[model.geom_bodyid] == 0) & (model.body_mocapid[model.body_rootid[model.geom_bodyid]] == -1)
        )
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        body = model.geom_bodyid[fixed]
        turned = jnp.einsum("gij,gj->gi", data.xmat[body].reshape(-1, 3, 3), fields["geom_pos"][fixed])
        return blank.replace(geom_xpos=blank.geom_xpos.at[fixed].set(data.xpos[body] + turned))

    def _computes_accelerations(self) -> bool:
        return True

    def _forward(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        return mjx.forward(model, data)

    def _advance(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        return mjx.step(model, data)

    def _substeps(
        self, number: int, blank: mjx.Data, state: PhysicsState, ctrl: jax.Array, fields: ModelFields
    ) -> tuple[PhysicsState, Derived]:
        """Keeps Warp's data from one substep to the next: a GPU would have to copy each of its arrays from ``blank``."""
        # The barrier keeps XLA from making each constant of the model anew in each substep.
        model = jax.lax.optimization_barrier(self._model_with(fields))

        def substep(_: int, carry: tuple[mjx.Data, jax.Array]) -> tuple[mjx.Data, jax.Array]:
            data = self._advance(model, carry[0])
            return data, carry[1] | self._unpack(data)[1][OVERFLOW]

        data, overflow = jax.lax.fori_loop(0, number, substep, (pack(blank, state, ctrl), jnp.bool(False)))
        state, derived = self._unpack(data)
        return state, derived | {OVERFLOW: overflow}

    def _renew(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        return mjx.forward(model, data)  # MJX-Warp cannot compute a part of it alone

    def _unpack(self, data: mjx.Data) -> tuple[PhysicsState, Derived]:
        state, derived = super()._unpack(data)
        return state, derived | {OVERFLOW: data._impl.overflow != 0}

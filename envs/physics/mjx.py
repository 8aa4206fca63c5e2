"""MJX-JAX: MuJoCo in JAX, for GPU and TPU (and, slowly, CPU)."""

import contextlib
import dataclasses
import io

import jax
import jax.numpy as jnp
import mujoco

from envs.physics.base import Derived, PhysicsState

# Where the optional Warp backend is not installed, importing MJX prints that it failed to import it.
with contextlib.redirect_stdout(io.StringIO()):
    from mujoco import mjx


class MjxPhysics:
    """MJX with the Newton solver.

    Args:
      model: the compiled model; MJX has no PGS solver, so Newton replaces it here (docs/physics.md measures by how much).
      reads: names of the ``mjData`` fields to return.
      iterations: solver iterations, None for the model's own.
      ls_iterations: line-search steps per iteration, None for the model's own.

    Raises:
      NotImplementedError: the model uses a feature MJX lacks (MJX's own message names it).
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        reads: tuple[str, ...],
        iterations: int | None = None,
        ls_iterations: int | None = None,
    ):
        self.model = model.__copy__()
        self.model.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
        if iterations is not None:
            self.model.opt.iterations = iterations
        if ls_iterations is not None:
            self.model.opt.ls_iterations = ls_iterations
        self._mjx_model = mjx.put_model(self.model)
        self._reads = reads

    def init(self, qpos: jax.Array, qvel: jax.Array) -> tuple[PhysicsState, Derived]:
        """See `Physics.init`."""
        with jax.default_matmul_precision("highest"):
            data = mjx.make_data(self._mjx_model).replace(qpos=qpos, qvel=qvel)
            return self._unpack(mjx.forward(self._mjx_model, data))

    def step(self, state: PhysicsState, ctrl: jax.Array, n_substeps: int) -> tuple[PhysicsState, Derived]:
        """See `Physics.step`."""

        def substep(_: int, carry: tuple[PhysicsState, Derived]) -> tuple[PhysicsState, Derived]:
            state = carry[0]
            data = mjx.make_data(self._mjx_model).replace(
                qpos=state.qpos,
                qvel=state.qvel,
                act=state.act,
                qacc_warmstart=state.qacc_warmstart,
                time=state.time,
                ctrl=ctrl,
            )
            return self._unpack(mjx.step(self._mjx_model, data))

        # TF32 changes where a body lands: physics asks for full precision whatever the learner uses.
        with jax.default_matmul_precision("highest"):
            shapes = jax.eval_shape(lambda s: substep(0, (s, {})), state)[1]
            derived = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
            return jax.lax.fori_loop(0, n_substeps, substep, (state, derived))

    def _unpack(self, data: mjx.Data) -> tuple[PhysicsState, Derived]:
        if "cfrc_ext" in self._reads:
            data = mjx.rne_postconstraint(self._mjx_model, data)
        state = PhysicsState(
            qpos=data.qpos,
            qvel=data.qvel,
            act=data.act,
            qacc_warmstart=data.qacc_warmstart,
            # MJX gives a weakly typed time at first and a strong one later; one type means one compilation.
            time=jnp.asarray(data.time, jnp.float32),
        )
        return state, {name: _field(data, name) for name in self._reads}


def _field(data: mjx.Data, name: str) -> jax.Array:
    """A field by MuJoCo's name; MJX keeps some of them in an implementation part of its own."""
    own = {field.name for field in dataclasses.fields(data)}  # `hasattr` would reach the others by a deprecated way
    return getattr(data if name in own else data._impl, name)

"""MJX-JAX: MuJoCo in JAX, for GPU and TPU (and, slowly, CPU)."""

import contextlib
import dataclasses
import functools
import io
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.physics.base import NO_FIELDS, OVERFLOW, Derived, ModelFields, PhysicsState
from envs.physics.worlds import in_groups, over_worlds

# Where the optional Warp backend is not installed, importing MJX prints that it failed to import it.
with contextlib.redirect_stdout(io.StringIO()):
    from mujoco import mjx

OF_ACCELERATION = ("qacc", "actuator_force", "qfrc_actuator", "qfrc_constraint", "cacc", "cfrc_int", "cfrc_ext", "act_dot")
"""Fields that follow from accelerations and forces, not from positions and velocities alone."""

_UNSPLIT = 200_000
"""operations in a batch of LAPACK calls that jaxlib leaves on one thread"""

_NO_CONTACTS = int(mujoco.mjtDisableBit.mjDSBL_CONTACT) | int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)


class MjxPhysics:
    """MJX with the Newton solver.

    Args:
      model: the compiled model; MJX has no PGS solver, so Newton replaces it here (docs/physics.md measures by how much).
      reads: names of the ``mjData`` fields to return.
      iterations: solver iterations, None for the model's own.
      ls_iterations: line-search steps per iteration, None for the model's own.
      current: whether fields that follow from positions and velocities are those of the new state, see `make_physics`.

    Raises:
      ValueError: the model uses a feature MJX lacks (the message ends with MJX's own, which names it).
    """

    name = "mjx"
    impl = "jax"

    def __init__(
        self,
        model: mujoco.MjModel,
        reads: tuple[str, ...],
        iterations: int | None = None,
        ls_iterations: int | None = None,
        current: bool = False,
    ):
        self.model = model.__copy__()
        self.model.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
        # MJX computes no energies and refuses models that ask for them; nothing else depends on them.
        self.model.opt.enableflags &= ~int(mujoco.mjtEnableBit.mjENBL_ENERGY)
        if self.model.opt.disableflags & _NO_CONTACTS:  # it would refuse pairs of shapes that never meet
            self.model.geom_contype[:] = self.model.geom_conaffinity[:] = 0
        if iterations is not None:
            self.model.opt.iterations = iterations
        if ls_iterations is not None:
            self.model.opt.ls_iterations = ls_iterations
        self._reads = reads
        self._current = current
        self._mjx_model = self._put_model()
        self._blank = self._make_data(1)
        # Traced once, however often a program is made of them: tracing MJX takes as long as compiling it.
        self._init_once, self._substep_once = jax.jit(self._init), jax.jit(self._substep)
        self._step_once = jax.jit(self._step, static_argnums=0)
        of_acceleration = (self.model.sensor_needstage == mujoco.mjtStage.mjSTAGE_ACC).any()
        if "sensordata" in reads and of_acceleration and not self._computes_accelerations():
            raise NotImplementedError(f"{self.name} does not compute sensors of acceleration in a model without constraints")

    def init(self, qpos: jax.Array, qvel: jax.Array, fields: ModelFields = NO_FIELDS) -> tuple[PhysicsState, Derived]:
        """See `Physics.init`."""
        return self._all_worlds(self._init_once)(qpos, qvel, dict(fields))

    def step(
        self, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        """See `Physics.step`."""
        return self._all_worlds(functools.partial(self._step_once, n_substeps))(state, ctrl, dict(fields))

    # What another implementation of MJX than the one in JAX does in its own way.

    def _put_model(self) -> mjx.Model:
        try:
            return mjx.put_model(self.model, impl=self.impl)
        except NotImplementedError as error:
            raise ValueError(f"the {self.name} engine cannot simulate this model, the native one can: {error}") from error

    def _make_data(self, worlds: int) -> mjx.Data:
        """Data of one of so many worlds, which are stepped together."""
        return mjx.make_data(self._mjx_model)

    def _all_worlds(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function(blank, *args)`` of one world as a function of ``args``, under any ``vmap``."""
        of_one = functools.partial(function, self._blank)
        if jax.default_backend() != "cpu":
            return of_one
        # jaxlib 0.10 splits a large batch of factorisations over XLA's threads and waits for them on one of these very
        # threads: two at once wait for ever. Groups this small are not split. (From 0.11.2 on none is.)
        group = max(1, _UNSPLIT // max(1, self.model.nv**3 // 3))
        return over_worlds(lambda *args: in_groups(of_one, group, *args))

    def _with_fields(self, blank: mjx.Data, fields: ModelFields) -> mjx.Data:
        """``blank`` for a world of these fields, where that differs."""
        return blank

    def _computes_accelerations(self) -> bool:
        return bool(self._blank._impl.efc_J.size)  # MJX 3.17 returns from `forward` before it does, without constraints

    def _renew(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        """Computes what follows from positions and velocities."""
        data = mjx.sensor_pos(model, mjx.fwd_position(model, data))
        return mjx.sensor_vel(model, mjx.fwd_velocity(model, data))

    # TF32 changes where a body lands: physics asks for full precision whatever the learner uses.

    @jax.default_matmul_precision("highest")
    def _init(self, blank: mjx.Data, qpos: jax.Array, qvel: jax.Array, fields: ModelFields) -> tuple[PhysicsState, Derived]:
        blank = self._with_fields(blank, fields).replace(qpos=qpos, qvel=qvel)
        return self._unpack(mjx.forward(self._model_with(fields), blank))

    @jax.default_matmul_precision("highest")
    def _step(
        self, n_substeps: int, blank: mjx.Data, state: PhysicsState, ctrl: jax.Array, fields: ModelFields
    ) -> tuple[PhysicsState, Derived]:
        blank = self._with_fields(blank, fields)

        def substep(_: int, carry: tuple[PhysicsState, Derived]) -> tuple[PhysicsState, Derived]:
            state, derived = self._substep_once(blank, carry[0], ctrl, fields)
            if OVERFLOW in derived:
                derived[OVERFLOW] |= carry[1][OVERFLOW]
            return state, derived

        shapes = jax.eval_shape(self._substep_once, blank, state, ctrl, fields)[1]
        derived = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        state, derived = jax.lax.fori_loop(0, n_substeps, substep, (state, derived))
        if self._current:
            _, now = self._unpack(self._renew(self._model_with(fields), _pack(blank, state, ctrl)))
            if "sensordata" in now:
                now["sensordata"] = jnp.where(self._of_acceleration, derived["sensordata"], now["sensordata"])
            derived |= {name: value for name, value in now.items() if name not in OF_ACCELERATION}
        return state, derived

    def _substep(
        self, blank: mjx.Data, state: PhysicsState, ctrl: jax.Array, fields: ModelFields
    ) -> tuple[PhysicsState, Derived]:
        model = self._model_with(fields)
        data = mjx.step(model, _pack(blank, state, ctrl))
        if "cfrc_ext" in self._reads:
            data = mjx.rne_postconstraint(model, data)
        return self._unpack(data)

    @functools.cached_property
    def _of_acceleration(self) -> np.ndarray:
        """``[nsensordata]`` bool: which sensor values follow from accelerations."""
        return np.repeat(self.model.sensor_needstage == mujoco.mjtStage.mjSTAGE_ACC, self.model.sensor_dim)

    def _model_with(self, fields: ModelFields) -> mjx.Model:
        """The model of a world.

        Raises:
          ValueError: MJX compiles such a field in, so that it cannot differ between worlds.
        """
        fixed = [name for name in fields if not isinstance(getattr(self._mjx_model, name), jax.Array)]
        if fixed:
            raise ValueError(
                f"on the {self.name} engine worlds cannot differ in mjModel.{', mjModel.'.join(fixed)}, "
                "on the native one they can"
            )
        return self._mjx_model.replace(**fields)

    def _unpack(self, data: mjx.Data) -> tuple[PhysicsState, Derived]:
        state = PhysicsState(
            qpos=data.qpos,
            qvel=data.qvel,
            act=data.act,
            qacc_warmstart=data.qacc_warmstart,
            # MJX gives a weakly typed time at first and a strong one later; one type means one compilation.
            time=jnp.asarray(data.time, jnp.float32),
        )
        return state, {name: _field(data, name) for name in self._reads}


def _pack(blank: mjx.Data, state: PhysicsState, ctrl: jax.Array) -> mjx.Data:
    return blank.replace(
        qpos=state.qpos,
        qvel=state.qvel,
        act=state.act,
        qacc_warmstart=state.qacc_warmstart,
        time=state.time,
        ctrl=ctrl,
    )


def _field(data: mjx.Data, name: str) -> jax.Array:
    """A field by MuJoCo's name; MJX keeps some of them in an implementation part of its own."""
    if name == "ncon":  # MJX lists all pairs that could touch
        contact = data._impl.contact
        return (contact.dist < contact.includemargin).sum()
    own = {field.name for field in dataclasses.fields(data)}  # `hasattr` would reach the others by a deprecated way
    return getattr(data if name in own else data._impl, name)

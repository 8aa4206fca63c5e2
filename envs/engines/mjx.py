"""MJX-JAX: MuJoCo written in JAX, for GPUs and TPUs. It also runs on the CPU, but slowly."""

import contextlib
import dataclasses
import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.engines import equality, runge_kutta
from envs.engines.base import NO_FIELDS, Derived, Fused, ModelFields, PhysicsState
from envs.engines.mjx_import import mjx
from envs.engines.support import (
    MJX_DIFFERS,
    MJX_LACKS,
    STATEFUL,
    Feature,
    at_reset,
    check_fields,
    has_connect_or_weld,
    refuse,
    warn_once,
)
from envs.engines.worlds import in_groups, over_worlds

OF_ACCELERATION = ("qacc", "actuator_force", "qfrc_actuator", "qfrc_constraint", "cacc", "cfrc_int", "cfrc_ext", "act_dot")
"""Fields that depend on accelerations and forces, not on positions and velocities alone."""

_UNSPLIT = 200_000
"""Number of operations up to which jaxlib runs a batch of LAPACK calls on one thread."""

_NO_CONTACTS = int(mujoco.mjtDisableBit.mjDSBL_CONTACT) | int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)


class MjxEngine:
    """MJX with the Newton solver.

    Args:
      model: the compiled model. MJX has no PGS solver, so Newton replaces it; docs/physics.md measures the difference.
      reads: names of the ``mjData`` fields to return.
      iterations: solver iterations; None for the model's own.
      ls_iterations: line-search steps in each iteration; None for the model's own.
      current: see `envs.engines.make_engine`.
      fused: solve the contacts of each world in one kernel (`envs.engines.mjx_fused`); auto: on a GPU, where it can.

    Raises:
      ValueError: the model uses a feature that MJX lacks, or one that keeps a state of its own (`STATEFUL`). The message
        names the feature, in MJX's own words where MJX refuses it. Or ``fused`` is on and impossible; it says why.
      NotImplementedError: ``reads`` has sensors of acceleration, and MJX would leave them at zero in this model.
    """

    name = "mjx"
    impl = "jax"
    lacks: Mapping[str, Feature] = MJX_LACKS
    """features that the implementation would leave out without a word"""
    differs: Mapping[str, Feature] = MJX_DIFFERS
    """features that the implementation simulates in another way"""

    def __init__(
        self,
        model: mujoco.MjModel,
        reads: tuple[str, ...],
        iterations: int | None = None,
        ls_iterations: int | None = None,
        current: bool = False,
        fused: Fused = "off",
    ):
        refuse(model, self.name, STATEFUL)
        self.model = model.__copy__()
        self.model.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
        # MJX computes no energies and refuses models that ask for them; nothing else depends on them.
        self.model.opt.enableflags &= ~int(mujoco.mjtEnableBit.mjENBL_ENERGY)
        if self.model.opt.disableflags & _NO_CONTACTS:  # otherwise MJX refuses pairs of shapes though they never meet
            self.model.geom_contype[:] = self.model.geom_conaffinity[:] = 0
        if iterations is not None:
            self.model.opt.iterations = iterations
        if ls_iterations is not None:
            self.model.opt.ls_iterations = ls_iterations
        self._reads = reads
        self._current = current
        self._mjx_model = self._put_model()  # may refuse the model for reasons of MJX's own
        refuse(model, self.name, self.lacks, ", the native one can")
        for difference in (text for text, has in self.differs.items() if has(self.model)):
            warn_once(f"{self.name} differs from C MuJoCo on this model: {difference} (docs/physics.md).")
        self._blank = self._make_data(1)
        self._dynamics = self._choose_dynamics(fused)
        # These are traced once, however many programs use them: to trace MJX takes as long as to compile it.
        self._init_once, self._substep_once = jax.jit(self._init), jax.jit(self._substep)
        self._step_once = jax.jit(self._step, static_argnums=0)
        of_acceleration = (self.model.sensor_needstage == mujoco.mjtStage.mjSTAGE_ACC).any()
        if "sensordata" in reads and of_acceleration and not self._computes_accelerations():
            raise NotImplementedError(f"{self.name} does not compute sensors of acceleration in a model without constraints")

    def init(self, qpos: jax.Array, qvel: jax.Array, fields: ModelFields = NO_FIELDS) -> tuple[PhysicsState, Derived]:
        """See `Engine.init`."""
        return self._all_worlds(self._init_once)(qpos, qvel, dict(fields))

    def step(
        self, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        """See `Engine.step`."""
        return self._all_worlds(functools.partial(self._step_once, n_substeps))(state, ctrl, dict(fields))

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Within this block, MJX may refuse the model.

        Raises:
          ValueError: it does.
        """
        try:
            yield
        except NotImplementedError as error:
            raise ValueError(f"the {self.name} engine cannot simulate this model, the native one can: {error}") from error

    # An engine that uses another implementation of MJX (Warp) overrides the following.

    def _put_model(self) -> mjx.Model:
        with self._refusals():
            return mjx.put_model(self.model, impl=self.impl)

    def _make_data(self, worlds: int) -> mjx.Data:
        """Data of one world, when so many ``worlds`` are stepped together."""
        with self._refusals():
            return mjx.make_data(self._mjx_model)

    def _all_worlds(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Turns ``function(blank, *args)`` of one world into a function of ``args`` that can be under any ``vmap``."""
        of_one = functools.partial(function, self._blank)
        if jax.default_backend() != "cpu":
            return of_one
        # jaxlib 0.10 splits a large batch of factorisations over XLA's threads, and waits for them on one of these same
        # threads, so that two such batches at once can wait for ever. Groups this small are not split. (From 0.11.2 on,
        # jaxlib splits none.)
        group = max(1, _UNSPLIT // max(1, self.model.nv**3 // 3))
        return over_worlds(lambda *args: in_groups(of_one, group, *args))

    def _with_fields(self, blank: mjx.Data, fields: ModelFields) -> mjx.Data:
        """``blank`` as it is in a world whose model differs in ``fields``."""
        return blank.replace(**at_reset(self.model, fields))

    def _choose_dynamics(self, fused: Fused) -> Any:
        """What has the functions ``forward``, ``euler`` and ``implicit``: MJX, or `envs.engines.mjx_fused` over it."""
        if fused == "off" or (fused == "auto" and jax.default_backend() != "gpu"):
            return mjx
        from envs.engines import mjx_fused  # it needs more of MJX than is public

        obstacle = mjx_fused.obstacle(self.model, self._mjx_model, self._blank)
        if obstacle is None:
            return mjx_fused.fused_forward(self.model)
        if fused == "on":
            raise ValueError(f"physics.fused cannot be on: {obstacle}")
        warn_once(f"{self.name} solves in many kernels here, which is slow on a GPU: {obstacle} (docs/gpu_program.md).")
        return mjx

    def _computes_accelerations(self) -> bool:
        return bool(self._blank._impl.efc_J.size)  # without constraints `forward` of MJX 3.17 returns too early

    def _forward(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        """``mj_forward``."""
        if has_connect_or_weld(self.model):
            return equality.forward(self.model, model, data)
        return self._dynamics.forward(model, data)

    def _advance(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        """``mj_step``."""
        integrator = self.model.opt.integrator
        if integrator == mujoco.mjtIntegrator.mjINT_RK4:
            return runge_kutta.step(self._forward, model, data)
        euler = integrator == mujoco.mjtIntegrator.mjINT_EULER
        return (self._dynamics.euler if euler else self._dynamics.implicit)(model, self._forward(model, data))

    def _renew(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        """Computes what follows from positions and velocities."""
        data = mjx.sensor_pos(model, mjx.fwd_position(model, data))
        return mjx.sensor_vel(model, mjx.fwd_velocity(model, data))

    # TF32 changes where a body lands, so physics is computed in full precision whatever the learner uses.

    @jax.default_matmul_precision("highest")
    def _init(self, blank: mjx.Data, qpos: jax.Array, qvel: jax.Array, fields: ModelFields) -> tuple[PhysicsState, Derived]:
        blank = self._with_fields(blank, fields).replace(qpos=qpos, qvel=qvel)
        return self._unpack(self._forward(self._model_with(fields), blank))

    @jax.default_matmul_precision("highest")
    def _step(
        self, n_substeps: int, blank: mjx.Data, state: PhysicsState, ctrl: jax.Array, fields: ModelFields
    ) -> tuple[PhysicsState, Derived]:
        blank = self._with_fields(blank, fields)

        state, derived = self._substeps(n_substeps, blank, state, ctrl, fields)
        if self._current:
            _, now = self._unpack(self._renew(self._model_with(fields), pack(blank, state, ctrl)))
            if "sensordata" in now:
                now["sensordata"] = jnp.where(self._of_acceleration, derived["sensordata"], now["sensordata"])
            derived |= {name: value for name, value in now.items() if name not in OF_ACCELERATION}
        return state, derived

    def _substeps(
        self, number: int, blank: mjx.Data, state: PhysicsState, ctrl: jax.Array, fields: ModelFields
    ) -> tuple[PhysicsState, Derived]:
        def substep(_: int, carry: tuple[PhysicsState, Derived]) -> tuple[PhysicsState, Derived]:
            return self._substep_once(blank, carry[0], ctrl, fields)

        shapes = jax.eval_shape(self._substep_once, blank, state, ctrl, fields)[1]
        derived = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return jax.lax.fori_loop(0, number, substep, (state, derived))

    def _substep(
        self, blank: mjx.Data, state: PhysicsState, ctrl: jax.Array, fields: ModelFields
    ) -> tuple[PhysicsState, Derived]:
        model = self._model_with(fields)
        data = self._advance(model, pack(blank, state, ctrl))
        if "cfrc_ext" in self._reads:
            data = mjx.rne_postconstraint(model, data)
        return self._unpack(data)

    @functools.cached_property
    def _of_acceleration(self) -> np.ndarray:
        """``[nsensordata]`` bool: which sensor values follow from accelerations."""
        return np.repeat(self.model.sensor_needstage == mujoco.mjtStage.mjSTAGE_ACC, self.model.sensor_dim)

    def _model_with(self, fields: ModelFields) -> mjx.Model:
        """The model of a world that differs in ``fields``.

        Raises:
          ValueError: there is no such field, or it cannot differ between worlds, because MJX compiles its value into the
            program.
        """
        own = {field.name for field in dataclasses.fields(self._mjx_model)}
        options = {f"opt.{field.name}" for field in dataclasses.fields(self._mjx_model.opt)}
        check_fields(fields, (own | options).__contains__)
        fixed = [name for name in fields if not isinstance(operator.attrgetter(name)(self._mjx_model), jax.Array)]
        if fixed:
            raise ValueError(
                f"on the {self.name} engine worlds cannot differ in mjModel.{', mjModel.'.join(fixed)}, "
                "on the native one they can"
            )
        return self._mjx_model.tree_replace(dict(fields))

    def _unpack(self, data: mjx.Data) -> tuple[PhysicsState, Derived]:
        state = PhysicsState(
            qpos=data.qpos,
            qvel=data.qvel,
            act=data.act,
            qacc_warmstart=data.qacc_warmstart,
            # MJX returns a weakly typed time at first and a strongly typed one later. One type means one compilation.
            time=jnp.asarray(data.time, jnp.float32),
        )
        return state, {name: _field(data, name) for name in self._reads}


def pack(blank: mjx.Data, state: PhysicsState, ctrl: jax.Array) -> mjx.Data:
    """``blank`` with this state and control."""
    return blank.replace(
        qpos=state.qpos,
        qvel=state.qvel,
        act=state.act,
        qacc_warmstart=state.qacc_warmstart,
        time=state.time,
        ctrl=ctrl,
    )


def _field(data: mjx.Data, name: str) -> jax.Array:
    """Reads a field by MuJoCo's name. MJX keeps some fields in a part of its own for each implementation."""
    if name == "ncon":  # MJX lists all pairs that might touch
        contact = data._impl.contact
        return (contact.dist < contact.includemargin).sum()
    own = {field.name for field in dataclasses.fields(data)}  # `hasattr` finds the others too, but deprecated
    return getattr(data if name in own else data._impl, name)

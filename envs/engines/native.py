"""C MuJoCo, called on the host: the fast engine on the CPU.

A task's code remains code of one world. Under ``vmap`` the host is called once for all worlds, and steps them on MuJoCo's
own thread pool. Only the thread pool outlives a call, so the results depend on the arguments alone.
"""

import contextlib
import functools
import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import mujoco.batch
import numpy as np

from envs.cpus import usable_cpus
from envs.engines.base import NO_FIELDS, Derived, ModelFields, PhysicsState
from envs.engines.host_call import host_call
from envs.engines.support import STATEFUL, at_reset, check_fields, refuse

_STATE = ("qpos", "qvel", "act", "qacc_warmstart", "time")

# Only one call into MuJoCo runs at a time: two threads must not use a Batch at once, XLA may call from any of its threads,
# and `silent` changes a setting of the whole process. Nothing is lost by this: a single call keeps every core busy.
_LOCK = threading.Lock()


class NativeEngine:
    """C MuJoCo with the model's own solver and integrator.

    Args:
      model: the compiled model. The engine uses a copy in which MuJoCo does not reset bad worlds by itself: a world that
        blew up has to stay visible, so that it can be quarantined.
      reads: names of the ``mjData`` fields to return.
      current: see `envs.engines.make_engine`.

    Raises:
      ValueError: a field cannot be read, or the model has a feature that keeps a state of its own (`STATEFUL`).
    """

    def __init__(self, model: mujoco.MjModel, reads: tuple[str, ...], current: bool = False):
        unknown = set(reads) - mujoco.batch.DATA_FIELDS
        if unknown:
            raise ValueError(f"the native engine cannot read mjData.{', mjData.'.join(sorted(unknown))}")
        refuse(model, "native", STATEFUL)
        self.model = _without_autoreset(model)
        self._reads = reads
        self._stage = (mujoco.mjtStage.mjSTAGE_VEL if current else mujoco.mjtStage.mjSTAGE_NONE).value
        self._data = mujoco.MjData(self.model)
        self._shapes = {name: np.shape(getattr(self._data, name)) for name in _STATE + reads}
        self._batches: dict[tuple[int, tuple[str, ...]], mujoco.batch.Batch] = {}
        self._identity = _digest(self.model, *reads, self._stage)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_batches": {}}  # which cannot be pickled, and are made again

    def init(self, qpos: jax.Array, qvel: jax.Array, fields: ModelFields = NO_FIELDS) -> tuple[PhysicsState, Derived]:
        """See `Engine.init`."""
        return self._call("init", self._init, {"qpos": qpos, "qvel": qvel}, fields)

    def step(
        self, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        """See `Engine.step`."""
        values = {name: getattr(state, name) for name in _STATE} | {"ctrl": ctrl}
        return self._call(f"step {n_substeps}", functools.partial(self._step, n_substeps=n_substeps), values, fields)

    def _call(
        self, kind: str, function: Callable[..., tuple[np.ndarray, ...]], values: ModelFields, fields: ModelFields
    ) -> tuple[PhysicsState, Derived]:
        """Calls ``function(arrays by name, names of the fields that differ)`` on the host, for all worlds together.

        Args:
          kind: name of the function among those of this engine.
          function: what is called.
          values: its arguments by name.
          fields: fields of the model that differ in this world.
        """
        check_fields(fields, mujoco.batch.MODEL_FIELDS.__contains__)
        values = {**values, **at_reset(self.model, fields)}
        names = (*values, *fields)

        def call(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
            return function(dict(zip(names, arrays, strict=True)), tuple(fields))

        result = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in self._shapes.values())
        name = f"mujoco {kind} {self._identity} {' '.join(fields)}".strip()
        returned = host_call(name, call, result, *values.values(), *fields.values())
        named = dict(zip(self._shapes, returned, strict=True))
        return PhysicsState(**{name: named[name] for name in _STATE}), {name: named[name] for name in self._reads}

    # The code below runs inside the callback and uses only NumPy: a JAX operation can wait for the very thread that runs it.

    def _init(self, values: dict[str, np.ndarray], fields: tuple[str, ...]) -> tuple[np.ndarray, ...]:
        leading = values["qpos"].shape[:-1]
        with _LOCK:
            batch = self._batch(leading, fields)
            batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE.value)
            self._write(batch, fields, values)
            _run(batch, batch.forward)
            return self._read(batch, leading, lambda: np.zeros((batch.nsim, self.model.nbody, 6)))

    def _step(self, values: dict[str, np.ndarray], fields: tuple[str, ...], n_substeps: int) -> tuple[np.ndarray, ...]:
        leading = values["time"].shape
        with _LOCK:
            batch = self._batch(leading, fields)
            self._write(batch, fields, values)
            _run(batch, batch.step, nstep=n_substeps, stage=self._stage)
            # MuJoCo replaces a control that is NaN by zero and goes on, which would hide a failing policy.
            batch.bind("qpos")[~np.isfinite(values["ctrl"]).all(-1).ravel()] = np.nan
            return self._read(batch, leading, lambda: self._contact_forces(batch))

    def _batch(self, leading: tuple[int, ...], fields: tuple[str, ...]) -> mujoco.batch.Batch:
        """The batch for as many worlds as ``leading`` axes hold, which differ in ``fields``; made once and kept."""
        worlds = int(np.prod(leading, dtype=int))
        if (worlds, fields) not in self._batches:
            # Contact forces are computed from the whole mjData of a world, which only a persistent batch keeps.
            # MuJoCo's own default is a thread for each CPU of the machine, of which a job may be allowed only some.
            batch = mujoco.batch.Batch(self.model, worlds, nthread=usable_cpus(), persistent="cfrc_ext" in self._reads)
            for name in self._shapes:
                batch.bind(name)
            for name in fields:
                batch.expand(name)
            self._batches[worlds, fields] = batch
        return self._batches[worlds, fields]

    def _write(self, batch: mujoco.batch.Batch, fields: tuple[str, ...], values: dict[str, np.ndarray]) -> None:
        for name, value in values.items():
            rows = batch.expand(name) if name in fields else batch.bind(name)
            rows[...] = value.reshape(rows.shape)

    def _read(
        self, batch: mujoco.batch.Batch, leading: tuple[int, ...], contact_forces: Callable[[], np.ndarray]
    ) -> tuple[np.ndarray, ...]:
        named = {name: batch.bind(name) for name in self._shapes}
        if "cfrc_ext" in named:
            named["cfrc_ext"] = contact_forces()
        with np.errstate(over="ignore"):  # a number too large for float32 becomes Inf, and its world is quarantined
            return tuple(named[name].astype(np.float32).reshape(leading + shape) for name, shape in self._shapes.items())

    def _contact_forces(self, batch: mujoco.batch.Batch) -> np.ndarray:
        """``cfrc_ext`` ``[worlds, nbody, 6]`` as Gymnasium has it: from ``mj_rnePostConstraint`` after the last substep."""
        forces = np.empty((batch.nsim, self.model.nbody, 6))
        for world in range(batch.nsim):
            mujoco.mj_rnePostConstraint(self.model, batch.get_data(world, self._data))
            forces[world] = self._data.cfrc_ext
        return forces


def _run(batch: mujoco.batch.Batch, call: Any, **kwargs: Any) -> None:
    """Calls a method of the batch. A world in which MuJoCo raises an error is set to NaN; the others do not notice."""
    try:
        with silent():
            call(**kwargs)
    except mujoco.batch.SimulationError as error:
        batch.bind("qpos")[error.ids] = np.nan


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keeps MuJoCo from writing warnings to the console and to a file MUJOCO_LOG.TXT. Errors are still raised.

    The warnings help no user: a world that blows up is reported by the numbers that it returns, and models of Gymnasium use
    an old form that users cannot change.
    """
    before, silent = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
    silent.logto_console = silent.logto_file = False
    silent.set()
    try:
        yield
    finally:
        before.set()


def _digest(model: mujoco.MjModel, *settings: Any) -> str:
    """A hash of the model and the settings. It is the same in every process, and differs for any other model or settings."""
    content = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, content)
    return hashlib.sha256(content.tobytes() + repr(settings).encode()).hexdigest()


def _without_autoreset(model: mujoco.MjModel) -> mujoco.MjModel:
    model = model.__copy__()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    return model

"""C MuJoCo behind a batched host callback: the fast engine on CPU.

Per-world code stays per-world: under ``vmap`` the callback is called once, with every leading axis, and steps all worlds
on MuJoCo's own thread pool. Nothing outlives a call except the thread pool, so results depend on the arguments alone.
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

from envs.physics.base import NO_FIELDS, Derived, ModelFields, PhysicsState
from envs.physics.host_call import host_call

_STATE = ("qpos", "qvel", "act", "qacc_warmstart", "time")

# One call into MuJoCo at a time: a Batch must not run from two threads at once, XLA may call back from any of its own,
# and `silent` changes a setting of the whole process. Each call keeps every core busy by itself.
_LOCK = threading.Lock()


class NativePhysics:
    """C MuJoCo with the model's own solver and integrator.

    Args:
      model: the compiled model; copied, because MuJoCo's automatic reset of bad worlds is switched off in it (a world
        that blew up has to stay visible, so that it can be quarantined).
      reads: names of the ``mjData`` fields to return.
      current: whether fields that follow from positions and velocities are those of the new state, see `make_physics`.

    Raises:
      ValueError: a field that cannot be read.
    """

    def __init__(self, model: mujoco.MjModel, reads: tuple[str, ...], current: bool = False):
        unknown = set(reads) - mujoco.batch.DATA_FIELDS
        if unknown:
            raise ValueError(f"the native engine cannot read mjData.{', mjData.'.join(sorted(unknown))}")
        self.model = _without_autoreset(model)
        self._reads = reads
        self._stage = (mujoco.mjtStage.mjSTAGE_VEL if current else mujoco.mjtStage.mjSTAGE_NONE).value
        self._data = mujoco.MjData(self.model)
        self._shapes = {name: np.shape(getattr(self._data, name)) for name in _STATE + reads}
        self._batches: dict[tuple[int, tuple[str, ...]], mujoco.batch.Batch] = {}
        self._identity = _digest(self.model, *reads, self._stage)

    def init(self, qpos: jax.Array, qvel: jax.Array, fields: ModelFields = NO_FIELDS) -> tuple[PhysicsState, Derived]:
        """See `Physics.init`."""
        return self._call("init", self._init, {"qpos": qpos, "qvel": qvel}, fields)

    def step(
        self, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        """See `Physics.step`."""
        values = {name: getattr(state, name) for name in _STATE} | {"ctrl": ctrl}
        return self._call(f"step {n_substeps}", functools.partial(self._step, n_substeps=n_substeps), values, fields)

    def _call(
        self, kind: str, function: Callable[..., tuple[np.ndarray, ...]], values: ModelFields, fields: ModelFields
    ) -> tuple[PhysicsState, Derived]:
        """``function(named arrays, names of fields)`` on the host; ``kind`` says which it is."""
        names = (*values, *fields)

        def call(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
            return function(dict(zip(names, arrays, strict=True)), tuple(fields))

        result = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in self._shapes.values())
        name = f"mujoco {kind} {self._identity} {' '.join(fields)}".strip()
        returned = host_call(name, call, result, *values.values(), *fields.values())
        named = dict(zip(self._shapes, returned, strict=True))
        return PhysicsState(**{name: named[name] for name in _STATE}), {name: named[name] for name in self._reads}

    # Only NumPy below: a JAX operation inside a callback can wait for the very thread that runs the callback.

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
            # MuJoCo goes on with zero control where it is NaN, which would hide a policy that fails.
            batch.bind("qpos")[~np.isfinite(values["ctrl"]).all(-1).ravel()] = np.nan
            return self._read(batch, leading, lambda: self._contact_forces(batch))

    def _batch(self, leading: tuple[int, ...], fields: tuple[str, ...]) -> mujoco.batch.Batch:
        """A batch for that many worlds, which differ in ``fields``."""
        worlds = int(np.prod(leading, dtype=int))
        if (worlds, fields) not in self._batches:
            # Contact forces are computed from a world's whole mjData, which only a persistent batch keeps.
            batch = mujoco.batch.Batch(self.model, worlds, persistent="cfrc_ext" in self._reads)
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
        with np.errstate(over="ignore"):  # a world that blew up may not fit a float32: it becomes Inf and is quarantined
            return tuple(named[name].astype(np.float32).reshape(leading + shape) for name, shape in self._shapes.items())

    def _contact_forces(self, batch: mujoco.batch.Batch) -> np.ndarray:
        """``cfrc_ext`` of every world as Gymnasium has it: ``mj_rnePostConstraint`` after the last substep."""
        forces = np.empty((batch.nsim, self.model.nbody, 6))
        for world in range(batch.nsim):
            mujoco.mj_rnePostConstraint(self.model, batch.get_data(world, self._data))
            forces[world] = self._data.cfrc_ext
        return forces


def _run(batch: mujoco.batch.Batch, call: Any, **kwargs: Any) -> None:
    """Calls into the batch; worlds in which MuJoCo raised come back as NaN, the others are untouched by it."""
    try:
        with silent():
            call(**kwargs)
    except mujoco.batch.SimulationError as error:
        batch.bind("qpos")[error.ids] = np.nan


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keeps MuJoCo from writing warnings to the console and to a file MUJOCO_LOG.TXT; errors are raised as ever.

    A world that blows up is reported by what it returns, and that a model of Gymnasium's is old-fashioned helps no user.
    """
    before, silent = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
    silent.logto_console = silent.logto_file = False
    silent.set()
    try:
        yield
    finally:
        before.set()


def _digest(model: mujoco.MjModel, *settings: Any) -> str:
    """The same in every process for the same model and settings, and only for those."""
    content = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, content)
    return hashlib.sha256(content.tobytes() + repr(settings).encode()).hexdigest()


def _without_autoreset(model: mujoco.MjModel) -> mujoco.MjModel:
    model = model.__copy__()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    return model

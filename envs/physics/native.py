"""C MuJoCo behind a batched host callback: the fast engine on CPU.

Per-world code stays per-world: under ``vmap`` the callback is called once, with every leading axis, and steps all worlds
on MuJoCo's own thread pool. Nothing outlives a call except the thread pool, so results depend on the arguments alone.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import mujoco.batch
import numpy as np

from envs.physics.base import Derived, PhysicsState

_STATE = ("qpos", "qvel", "act", "qacc_warmstart", "time")

# One call into MuJoCo at a time: a Batch must not run from two threads at once, XLA may call back from any of its own,
# and `_silent` changes a setting of the whole process. Each call keeps every core busy by itself.
_LOCK = threading.Lock()


class NativePhysics:
    """C MuJoCo with the model's own solver and integrator.

    Args:
      model: the compiled model; copied, because MuJoCo's automatic reset of bad worlds is switched off in it (a world
        that blew up has to stay visible, so that it can be quarantined).
      reads: names of the ``mjData`` fields to return.

    Raises:
      ValueError: a field that C MuJoCo does not compute in ``mj_step``.
    """

    def __init__(self, model: mujoco.MjModel, reads: tuple[str, ...]):
        if "cfrc_ext" in reads:
            raise ValueError("the native engine does not compute cfrc_ext; use --physics mjx for tasks that read it")
        self.model = _without_autoreset(model)
        self._reads = reads
        data = mujoco.MjData(self.model)
        self._shapes = {name: np.shape(getattr(data, name)) for name in _STATE + reads}
        self._batches: dict[int, mujoco.batch.Batch] = {}

    def init(self, qpos: jax.Array, qvel: jax.Array) -> tuple[PhysicsState, Derived]:
        """See `Physics.init`."""
        return self._unpack(jax.pure_callback(self._init, self._result(), qpos, qvel, vmap_method="broadcast_all"))

    def step(self, state: PhysicsState, ctrl: jax.Array, n_substeps: int) -> tuple[PhysicsState, Derived]:
        """See `Physics.step`."""

        def call(*arrays: Any) -> tuple[np.ndarray, ...]:
            return self._step(n_substeps, *arrays)

        arrays = [getattr(state, name) for name in _STATE]
        return self._unpack(jax.pure_callback(call, self._result(), *arrays, ctrl, vmap_method="broadcast_all"))

    def _result(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in self._shapes.values())

    def _unpack(self, arrays: tuple[jax.Array, ...]) -> tuple[PhysicsState, Derived]:
        named = dict(zip(self._shapes, arrays, strict=True))
        return PhysicsState(**{name: named[name] for name in _STATE}), {name: named[name] for name in self._reads}

    # Only NumPy below: a JAX operation inside a callback can wait for the very thread that runs the callback.

    def _init(self, qpos: Any, qvel: Any) -> tuple[np.ndarray, ...]:
        qpos, qvel = np.asarray(qpos), np.asarray(qvel)
        with _LOCK:
            batch = self._batch(int(np.prod(qpos.shape[:-1], dtype=int)))
            batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE.value)
            self._write(batch, qpos=qpos, qvel=qvel)
            _run(batch, batch.forward)
            return self._read(batch, qpos.shape[:-1])

    def _step(self, n_substeps: int, *arrays: Any) -> tuple[np.ndarray, ...]:
        values = dict(zip((*_STATE, "ctrl"), map(np.asarray, arrays), strict=True))
        leading = values["time"].shape
        with _LOCK:
            batch = self._batch(int(np.prod(leading, dtype=int)))
            self._write(batch, **values)
            _run(batch, batch.step, nstep=n_substeps)
            # MuJoCo goes on with zero control where it is NaN, which would hide a policy that fails.
            batch.bind("qpos")[~np.isfinite(values["ctrl"]).all(-1).ravel()] = np.nan
            return self._read(batch, leading)

    def _batch(self, worlds: int) -> mujoco.batch.Batch:
        if worlds not in self._batches:
            batch = mujoco.batch.Batch(self.model, worlds)
            for name in self._shapes:
                batch.bind(name)
            self._batches[worlds] = batch
        return self._batches[worlds]

    def _write(self, batch: mujoco.batch.Batch, **values: np.ndarray) -> None:
        for name, value in values.items():
            rows = batch.bind(name)
            rows[...] = value.reshape(rows.shape)

    def _read(self, batch: mujoco.batch.Batch, leading: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        with np.errstate(over="ignore"):  # a world that blew up may not fit a float32: it becomes Inf and is quarantined
            return tuple(
                batch.bind(name).astype(np.float32).reshape(leading + shape) for name, shape in self._shapes.items()
            )


def _run(batch: mujoco.batch.Batch, call: Any, **kwargs: Any) -> None:
    """Calls into the batch; worlds in which MuJoCo raised come back as NaN, the others are untouched by it."""
    try:
        with _silent():
            call(**kwargs)
    except mujoco.batch.SimulationError as error:
        batch.bind("qpos")[error.ids] = np.nan


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps MuJoCo from reporting every world that blows up on the console and in a file MUJOCO_LOG.TXT.

    Such a world is reported by what it returns; errors are raised as ever.
    """
    before, silent = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
    silent.logto_console = silent.logto_file = False
    silent.set()
    try:
        yield
    finally:
        before.set()


def _without_autoreset(model: mujoco.MjModel) -> mujoco.MjModel:
    model = model.__copy__()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    return model

"""Physics engines behind one protocol, `Engine`: a task is written once and runs on every engine.

An *engine* is the thing that steps; *physics* is the state that it steps (`PhysicsState`).
"""

import jax
import mujoco
from jax.extend.backend import get_backend

from envs.engines.base import FUSED, OVERFLOW, Derived, Engine, ModelFields, PhysicsState, SolverConfig
from envs.engines.native import NativeEngine

__all__ = [
    "ENGINES",
    "OVERFLOW",
    "Derived",
    "Engine",
    "ModelFields",
    "PhysicsState",
    "SolverConfig",
    "candidates",
    "check_engine",
    "make_engine",
    "resolve_engine",
]

ENGINES = ("mjx", "warp", "native")
"""Names of the engines."""

_INTEGRATORS = {
    "euler": mujoco.mjtIntegrator.mjINT_EULER,
    "rk4": mujoco.mjtIntegrator.mjINT_RK4,
    "implicitfast": mujoco.mjtIntegrator.mjINT_IMPLICITFAST,
}


def check_engine(name: str) -> None:
    """Checks that a name is one of `ENGINES`, or ``auto``.

    Raises:
      ValueError: it is not.
    """
    if name not in ("auto", *ENGINES):
        raise ValueError(f"unknown physics engine {name!r}; choose one of: auto, {', '.join(ENGINES)}")


def candidates(name: str, repeatable: bool = False) -> tuple[str, ...]:
    """The engines that a name stands for, the best first; the last is the one to take where the others refuse a task.

    Args:
      name: one of `ENGINES`, which stands for itself; or ``auto``, which stands for native on the CPU, for warp and then mjx
        on an NVIDIA GPU, and for mjx elsewhere.
      repeatable: ``auto`` shall not stand for an engine that may compute other bits when it is run again, as warp may on a
        GPU.

    Raises:
      ValueError: there is no engine of that name.
    """
    check_engine(name)
    if name != "auto":
        return (name,)
    if jax.default_backend() == "cpu":
        return ("native",)
    return ("warp", "mjx") if on_nvidia() and not repeatable else ("mjx",)


def on_nvidia() -> bool:
    """Whether JAX computes on an NVIDIA GPU. JAX calls AMD's back end ``gpu`` as well; the versions tell them apart."""
    return jax.default_backend() == "gpu" and "cuda" in get_backend().platform_version


def resolve_engine(name: str) -> str:
    """Replaces ``auto`` by the engine to take where nothing is known of the task: the last of its `candidates`.

    Raises:
      ValueError: there is no engine of that name.
    """
    return candidates(name)[-1]


def make_engine(
    model: mujoco.MjModel, reads: tuple[str, ...], name: str, solver: SolverConfig, current: bool = False
) -> Engine:
    """Makes an engine.

    Args:
      model: the model that it steps.
      reads: the ``mjData`` fields that it returns beside the state (`Derived`).
      name: one of `ENGINES`, or auto.
      solver: how it solves.
      current: recompute the fields that follow from positions and velocities after the last substep, as dm_control does.
        Otherwise they lag one substep behind the state, as after ``mj_step``.

    Raises:
      ValueError: the engine or the integrator is unknown, a solver setting is below 1 or impossible, or the engine does not
        compute one of the fields.
      NotImplementedError: the engine is not installed, or lacks a feature of the model.
    """
    if solver.integrator is not None:
        if solver.integrator not in _INTEGRATORS:
            raise ValueError(f"unknown integrator {solver.integrator!r}; choose one of: {', '.join(_INTEGRATORS)}")
        model = model.__copy__()
        model.opt.integrator = _INTEGRATORS[solver.integrator]
    for setting in ("iterations", "ls_iterations", "max_contacts", "max_constraints"):
        value = getattr(solver, setting)
        if value is not None and value < 1:
            raise ValueError(f"physics.{setting} must be at least 1, not {value}")
    if solver.fused not in FUSED:
        raise ValueError(f"physics.fused must be one of {', '.join(FUSED)}, not {solver.fused!r}")
    name = resolve_engine(name)
    if name == "native":
        return NativeEngine(model, reads, current)
    # MJX is imported only when it is needed: the import takes seconds, since it loads Warp wherever that is installed.
    if name == "warp":
        from envs.engines.warp import WarpEngine

        buffers = {key: value for key in ("max_contacts", "max_constraints") if (value := getattr(solver, key))}
        return WarpEngine(model, reads, solver.iterations, solver.ls_iterations, current, **buffers)
    from envs.engines.mjx import MjxEngine

    return MjxEngine(model, reads, solver.iterations, solver.ls_iterations, current, solver.fused)

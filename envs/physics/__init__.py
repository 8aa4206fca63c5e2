"""Physics engines behind one protocol (`Physics`): a task is written once and runs on every engine."""

import jax
import mujoco

from envs.physics.base import OVERFLOW, Derived, ModelFields, Physics, PhysicsState, SolverConfig
from envs.physics.native import NativePhysics

__all__ = [
    "ENGINES",
    "OVERFLOW",
    "Derived",
    "ModelFields",
    "Physics",
    "PhysicsState",
    "SolverConfig",
    "make_physics",
    "resolve_engine",
]

ENGINES = ("mjx", "warp", "native")

_INTEGRATORS = {
    "euler": mujoco.mjtIntegrator.mjINT_EULER,
    "rk4": mujoco.mjtIntegrator.mjINT_RK4,
    "implicitfast": mujoco.mjtIntegrator.mjINT_IMPLICITFAST,
}


def resolve_engine(engine: str) -> str:
    """The engine that ``auto`` stands for on this machine; any other name is returned as it is.

    Raises:
      ValueError: an unknown engine.
    """
    if engine == "auto":
        return "native" if jax.default_backend() == "cpu" else "mjx"
    if engine not in ENGINES:
        raise ValueError(f"unknown physics engine {engine!r}; choose one of: auto, {', '.join(ENGINES)}")
    return engine


def make_physics(
    model: mujoco.MjModel, reads: tuple[str, ...], engine: str, solver: SolverConfig, current: bool = False
) -> Physics:
    """The engine of that name, stepping ``model`` and returning the ``mjData`` fields ``reads``.

    With ``current`` those that follow from positions and velocities are recomputed after the last substep, as dm_control
    does; without it they are one substep behind the state, as after ``mj_step``.

    Raises:
      ValueError: an unknown engine or integrator, a solver setting below 1, or a field the engine does not compute.
      NotImplementedError: the engine is not installed, or lacks a feature of the model.
    """
    if solver.integrator is not None:
        if solver.integrator not in _INTEGRATORS:
            raise ValueError(f"unknown integrator {solver.integrator!r}; choose one of: {', '.join(_INTEGRATORS)}")
        model = model.__copy__()
        model.opt.integrator = _INTEGRATORS[solver.integrator]
    for name in ("iterations", "ls_iterations", "max_contacts", "max_constraints"):
        value = getattr(solver, name)
        if value is not None and value < 1:
            raise ValueError(f"physics.{name} must be at least 1, not {value}")
    engine = resolve_engine(engine)
    if engine == "native":
        return NativePhysics(model, reads, current)
    # Imported here, for it takes seconds: MJX brings Warp along where that is installed.
    if engine == "warp":
        from envs.physics.warp import WarpPhysics

        buffers = {name: value for name in ("max_contacts", "max_constraints") if (value := getattr(solver, name))}
        return WarpPhysics(model, reads, solver.iterations, solver.ls_iterations, current, **buffers)
    from envs.physics.mjx import MjxPhysics

    return MjxPhysics(model, reads, solver.iterations, solver.ls_iterations, current)

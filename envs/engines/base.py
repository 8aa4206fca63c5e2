"""What a task sees of an engine, and the physics state that all engines share."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Protocol, get_args

import jax
import mujoco

Derived = dict[str, jax.Array]
"""The ``mjData`` fields that a task reads, under MuJoCo's own names. As after ``mj_step``, they lag one substep behind the
state, unless the engine was made with ``current``."""

OVERFLOW = "overflow"
"""Name of a derived field of engines with bounded buffers. [] bool: in some substep a buffer was too small for this world,
so that its physics is wrong."""

ModelFields = Mapping[str, jax.Array]
"""The ``mjModel`` fields in which one world differs from the engine's model, under MuJoCo's own names."""

Fused = Literal["auto", "on", "off"]
FUSED: tuple[Fused, ...] = get_args(Fused)
"""When the constraints of a world are solved in one kernel (`SolverConfig`)."""

NO_FIELDS: ModelFields = MappingProxyType({})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PhysicsState:
    """MuJoCo's integration state of one world.

    It holds nothing else, since the next step recomputes everything that follows from it. Every engine uses this class, so a
    state can be passed from one engine to another as it is.

    Attributes:
      qpos: ``[nq]`` joint positions (m, rad, or unit quaternions).
      qvel: ``[nv]`` joint velocities (m/s, rad/s).
      act: ``[na]`` actuator activations.
      qacc_warmstart: ``[nv]`` accelerations from which the constraint solver starts. They belong to the state: without them
        the same state could lead to different results.
      time: ``[]`` simulated time (s).
    """

    qpos: jax.Array
    qvel: jax.Array
    act: jax.Array
    qacc_warmstart: jax.Array
    time: jax.Array


class Engine(Protocol):
    """Steps one model. Both functions are of one world; they run under ``jit``, ``vmap`` and ``scan``."""

    model: mujoco.MjModel
    """the model as it is simulated; an engine may change settings in its own copy"""

    def init(self, qpos: jax.Array, qvel: jax.Array, fields: ModelFields = NO_FIELDS) -> tuple[PhysicsState, Derived]:
        """The state with these positions ``[nq]`` and velocities ``[nv]``, under zero control (``mj_forward``).

        Contact forces (``cfrc_ext``) are zero in it, as in Gymnasium: only a step computes them.

        Args:
          qpos: ``[nq]`` positions.
          qvel: ``[nv]`` velocities.
          fields: fields of the model that differ in this world.
        """
        ...

    def step(
        self, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        """The state after ``n_substeps`` physics steps (``mj_step``) under one control.

        Args:
          state: the state before.
          ctrl: ``[nu]`` the control, in the actuators' own units.
          n_substeps: number of physics steps.
          fields: fields of the model that differ in this world.
        """
        ...


@dataclasses.dataclass(frozen=True)
class SolverConfig:
    """How an engine solves.

    None means the model's own setting; for mjx and warp it means the setting that was measured for the task
    (docs/physics.md).
    """

    integrator: str | None = None
    """integrator: euler, rk4 or implicitfast; default: the model's own"""
    iterations: int | None = None
    """iterations of the constraint solver, for mjx and warp; default: measured for each task"""
    ls_iterations: int | None = None
    """line-search steps in each iteration of the solver, for mjx and warp; default: measured for each task"""
    max_contacts: int | None = None
    """contacts in each world that warp makes room for, on average over the worlds; default: measured for each task, or 64"""
    max_constraints: int | None = None
    """rows of the constraint Jacobian in each world that warp makes room for; default: measured for each task, or 256"""
    fused: Fused = "auto"
    """solve the contacts of each world in one kernel, for mjx (docs/gpu_program.md); auto: on a GPU, where it can"""

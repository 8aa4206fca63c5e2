"""What every physics engine looks like to a task, and the state that they all share."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import jax
import mujoco

Derived = dict[str, jax.Array]
"""The ``mjData`` fields a task reads, under MuJoCo's own names, with ``mj_step``'s meaning (one substep behind)."""

OVERFLOW = "overflow"
"""Derived field of an engine with bounded buffers, [] bool: in some substep they were too small for this world."""

ModelFields = Mapping[str, jax.Array]
"""The ``mjModel`` fields in which a world differs from the others, under MuJoCo's own names."""

NO_FIELDS: ModelFields = MappingProxyType({})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PhysicsState:
    """MuJoCo's integration state of one world and nothing else: everything further is recomputed by the next step.

    The same struct serves every engine, so a state moves from one engine to another as it is.

    Attributes:
      qpos: ``[nq]`` joint positions (m, rad, or unit quaternions).
      qvel: ``[nv]`` joint velocities (m/s, rad/s).
      act: ``[na]`` actuator activations.
      qacc_warmstart: ``[nv]`` the constraint solver's starting point; without it results would depend on history.
      time: ``[]`` simulated time (s).
    """

    qpos: jax.Array
    qvel: jax.Array
    act: jax.Array
    qacc_warmstart: jax.Array
    time: jax.Array


class Physics(Protocol):
    """One engine stepping one model. Both functions are per world and run under ``jit``, ``vmap`` and ``scan``."""

    model: mujoco.MjModel

    def init(self, qpos: jax.Array, qvel: jax.Array, fields: ModelFields = NO_FIELDS) -> tuple[PhysicsState, Derived]:
        """The state at rest input with these positions ``[nq]`` and velocities ``[nv]`` (``mj_forward``).

        Contact forces (``cfrc_ext``) are zero in it, as in Gymnasium: only a step computes them.
        """
        ...

    def step(
        self, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        """``n_substeps`` calls of ``mj_step`` under the constant control ``ctrl`` ``[nu]``."""
        ...


@dataclasses.dataclass(frozen=True)
class SolverConfig:
    """How an engine solves.

    ``None`` means the model's own, and for mjx and warp what the task states (docs/physics.md).
    """

    integrator: str | None = None
    """integrator: euler, rk4 or implicitfast; default: the model's own"""
    iterations: int | None = None
    """constraint solver iterations of mjx and warp; default: measured per task"""
    ls_iterations: int | None = None
    """line-search steps per solver iteration of mjx and warp; default: measured per task"""
    max_contacts: int | None = None
    """contacts per world that warp has room for, on average over the worlds; default: measured per task, or 64"""
    max_constraints: int | None = None
    """rows of the constraint Jacobian that warp has room for in each world; default: measured per task, or 256"""

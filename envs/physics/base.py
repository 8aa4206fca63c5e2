"""What every physics engine looks like to a task, and the state that they all share."""

import dataclasses
from typing import Protocol

import jax
import mujoco

Derived = dict[str, jax.Array]
"""The ``mjData`` fields a task reads, under MuJoCo's own names, with ``mj_step``'s meaning (one substep behind)."""


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

    def init(self, qpos: jax.Array, qvel: jax.Array) -> tuple[PhysicsState, Derived]:
        """The state at rest input with these positions ``[nq]`` and velocities ``[nv]`` (``mj_forward``)."""
        ...

    def step(self, state: PhysicsState, ctrl: jax.Array, n_substeps: int) -> tuple[PhysicsState, Derived]:
        """``n_substeps`` calls of ``mj_step`` under the constant control ``ctrl`` ``[nu]``."""
        ...


@dataclasses.dataclass(frozen=True)
class SolverConfig:
    """How an engine solves; ``None`` means: the model's own, for mjx what was measured to be exact (docs/physics.md)."""

    integrator: str | None = None
    """integrator: euler, rk4 or implicitfast; default: the model's own"""
    iterations: int | None = None
    """constraint solver iterations of mjx; default: measured per task"""
    ls_iterations: int | None = None
    """line-search steps per solver iteration of mjx; default: measured per task"""

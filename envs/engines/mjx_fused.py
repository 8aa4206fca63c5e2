"""A thin layer over MJX for GPUs: its constraint solver and its small systems of equations as one kernel each.

Nothing of MJX is changed. A private copy of its module of forward dynamics finds other functions under the names ``solver``
and ``smooth``; everything else in it is MJX's own. What the copy relies on is known by its source: with any other version of
it there is no such copy, and MJX computes all by itself.
"""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import types
from typing import Any

import jax
import mujoco

from envs.engines.mjx_import import mjx
from envs.engines.newton import MAX_ELEMENTS, Problem, Settings, newton, one_kernel, padded_size, solve_spd
from envs.engines.support import has_connect_or_weld

_PACKAGE = "mujoco.mjx._src"

RELIED_ON = (
    "forward",
    "solver",
    "smooth.factor_m",
    "smooth.solve_m",
    "support.is_sparse",
    "support.mul_m",
    "support.full_m",
)
"""The parts of MJX that are replaced or that call what is replaced: modules, and functions of other modules."""

KNOWN = frozenset({"bed35e73c70cb410"})
"""Digests of the sources of these parts for which the replacement was proven equal: those of MJX 3.17."""


def digest() -> str | None:
    """A digest of the sources of `RELIED_ON`; None if one of them is not there."""
    try:
        sources = "".join(inspect.getsource(_part(path)) for path in RELIED_ON)
    except (ImportError, AttributeError, OSError):
        return None
    return hashlib.sha256(sources.encode()).hexdigest()[:16]


def _part(path: str) -> Any:
    module, _, name = path.partition(".")
    found = importlib.import_module(f"{_PACKAGE}.{module}")
    return getattr(found, name) if name else found


def obstacle(model: mujoco.MjModel, mjx_model: mjx.Model, blank: mjx.Data) -> str | None:
    """Why this layer cannot stand in for MJX, in a few words; None if it can.

    Args:
      model: the model.
      mjx_model: the same model in MJX.
      blank: data of one world.
    """
    if digest() not in KNOWN:
        return f"this version of MJX ({mujoco.__version__}) is not known"
    if model.opt.cone != mujoco.mjtCone.mjCONE_PYRAMIDAL:
        return "friction cones are elliptic"
    if mjx_model._impl.dof_hasfrictionloss.any() or mjx_model._impl.tendon_hasfrictionloss.any():
        return "joints or tendons have dry friction"
    if _part("support.is_sparse")(mjx_model):
        return "the inertia is stored as a sparse matrix"
    if has_connect_or_weld(model):
        return "bodies are connected or welded"
    if padded_size(blank._impl.efc_J.shape) > MAX_ELEMENTS:
        return "there are too many constraints"
    return None


def fused_forward(model: mujoco.MjModel) -> Any:
    """MJX's module of forward dynamics (``forward``, ``euler``, ``implicit``) for a model without an `obstacle`."""
    spec = importlib.util.find_spec(f"{_PACKAGE}.forward")
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    solve = functools.wraps(_part("solver.solve"))(functools.partial(_solve, model))
    others: dict[str, Any] = {
        "smooth": types.SimpleNamespace(**{**vars(_part("smooth")), "factor_m": _factor_m, "solve_m": _solve_m}),
        "solver": types.SimpleNamespace(solve=solve),
    }
    vars(copy).update(others)
    return copy


def _factor_m(m: mjx.Model, d: mjx.Data) -> mjx.Data:
    """Leaves the factorisation to ``_solve_m``, the only function that needs it."""
    return d


def _solve_m(m: mjx.Model, d: mjx.Data, x: jax.Array) -> jax.Array:
    return one_kernel(functools.partial(solve_spd, m.nv), d._impl.M, x)


def _solve(model: mujoco.MjModel, m: mjx.Model, d: mjx.Data) -> mjx.Data:
    option = model.opt
    settings = Settings(
        dofs=model.nv,
        equalities=d._impl.ne,
        iterations=option.iterations,
        ls_iterations=option.ls_iterations,
        tolerance=option.tolerance,
        ls_tolerance=option.ls_tolerance,
    )
    cold = option.disableflags & int(mujoco.mjtDisableBit.mjDSBL_WARMSTART)
    problem = Problem(
        inertia=d._impl.M,
        jacobian=d._impl.efc_J,
        weight=d._impl.efc_D,
        aref=d._impl.efc_aref,
        qfrc_smooth=d.qfrc_smooth,
        qacc_smooth=d.qacc_smooth,
        qacc_warmstart=None if cold else d.qacc_warmstart,
    )
    found = one_kernel(functools.partial(newton, settings), problem)
    return d.tree_replace({"qacc": found.qacc, "qfrc_constraint": found.qfrc_constraint, "_impl.efc_force": found.efc_force})

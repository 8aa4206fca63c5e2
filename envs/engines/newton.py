"""MJX's constraint solver as one kernel for each world, so that a GPU neither starts many small ones nor asks the host.

MJX solves all worlds together: each iteration of Newton's method, each step of its line search and each factorisation of a
small matrix is a handful of kernels or a call of a library, and after each iteration the host reads whether a world goes on.
Here a world is one block of threads, which keeps its matrices in registers and stops when this world has converged.

The functions of one world (`solve_spd`, `newton`) are plain JAX in terms that Triton knows too: no indexing, only masks and
sums. On a GPU, `one_kernel` makes a Triton kernel of them by Pallas; elsewhere they are what they are.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco

MAX_ELEMENTS = 32_768
"""The largest padded Jacobian, in numbers, that is left to one block of threads. A larger one does not fit its registers."""

_SMALLEST_SIDE = 8
_NUMBERS_PER_WARP = 1024
"""of the largest array: 32 in the registers of each thread"""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How Newton's method goes.

    Attributes:
      dofs: degrees of freedom. Arrays may be padded by zeros beyond them, and beyond the constraints.
      equalities: so many constraints, the first ones, act at any sign of their error.
      iterations: of Newton's method, at most.
      ls_iterations: steps of each line search, at most.
      tolerance: of the cost's decrease and the gradient's norm, relative to the trace of the inertia.
      ls_tolerance: of the derivative in the line search, relative to ``tolerance``.
    """

    dofs: int
    equalities: int
    iterations: int
    ls_iterations: int
    tolerance: float
    ls_tolerance: float


class Problem(NamedTuple):
    """What one world asks the solver, in MuJoCo's names.

    Attributes:
      inertia: ``[nv, nv]`` the joint-space inertia ``M``.
      jacobian: ``[nefc, nv]`` ``efc_J``.
      weight: ``[nefc]`` ``efc_D``.
      aref: ``[nefc]`` ``efc_aref``, the accelerations that the constraints want.
      qfrc_smooth: ``[nv]`` forces without those of constraints.
      qacc_smooth: ``[nv]`` accelerations by these.
      qacc_warmstart: ``[nv]`` accelerations of the step before; None to start from ``qacc_smooth``.
    """

    inertia: jax.Array
    jacobian: jax.Array
    weight: jax.Array
    aref: jax.Array
    qfrc_smooth: jax.Array
    qacc_smooth: jax.Array
    qacc_warmstart: jax.Array | None


class Solution(NamedTuple):
    """What the solver answers, in MuJoCo's names.

    Attributes:
      qacc: ``[nv]`` accelerations.
      qfrc_constraint: ``[nv]`` forces of the constraints on the degrees of freedom.
      efc_force: ``[nefc]`` forces of the constraints themselves.
    """

    qacc: jax.Array
    qfrc_constraint: jax.Array
    efc_force: jax.Array


class _At(NamedTuple):
    """The cost and all that follows from an acceleration."""

    qacc: jax.Array
    inertial: jax.Array  # M qacc
    error: jax.Array  # J qacc - aref
    force: jax.Array
    qfrc: jax.Array
    gauss: jax.Array
    cost: jax.Array


class _Point(NamedTuple):
    """The cost along a line."""

    alpha: jax.Array
    cost: jax.Array
    slope: jax.Array
    curvature: jax.Array


def solve_spd(size: int, matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """``x`` with ``matrix @ x = vector``, by Cholesky's factorisation.

    Args:
      size: of the system; what is beyond it is padding.
      matrix: ``[n, n]`` symmetric and positive definite.
      vector: ``[n]``.
    """
    index = jax.lax.broadcasted_iota(jnp.int32, vector.shape, 0)
    column = jax.lax.broadcasted_iota(jnp.int32, matrix.shape, 1)

    def at(j: jax.Array, values: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(index == j, values, 0.0))

    def down(j: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, y = carry  # the columns of the factor before j, then what is left of the matrix
        pivot = jnp.sum(jnp.where(column == j, left, 0.0), axis=1)
        factor = jnp.where(index >= j, pivot * jax.lax.rsqrt(at(j, pivot)), 0.0)
        solved = at(j, y) / at(j, factor)
        y = jnp.where(index == j, solved, jnp.where(index > j, y - factor * solved, y))
        return jnp.where(column == j, factor[:, None], left - factor[:, None] * factor[None, :]), y

    def up(step: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        factors, x = carry
        j = size - 1 - step
        factor = jnp.sum(jnp.where(column == j, factors, 0.0), axis=1)
        rest = jnp.sum(jnp.where(index > j, factor * x, 0.0))
        return factors, jnp.where(index == j, (at(j, x) - rest) / at(j, factor), x)

    return jax.lax.fori_loop(0, size, up, jax.lax.fori_loop(0, size, down, (matrix, vector)))[1]


def _weighted_square(size: int, jacobian: jax.Array, weight: jax.Array) -> jax.Array:
    """``J.T @ diag(weight) @ J``, column by column: Triton's own product needs more registers than there are."""
    side = jacobian.shape[1]
    of_jacobian = jax.lax.broadcasted_iota(jnp.int32, jacobian.shape, 1)
    of_square = jax.lax.broadcasted_iota(jnp.int32, (side, side), 1)

    def add(j: jax.Array, square: jax.Array) -> jax.Array:
        chosen = weight * jnp.sum(jnp.where(of_jacobian == j, jacobian, 0.0), axis=1)
        return jnp.where(of_square == j, jnp.sum(jacobian * chosen[:, None], axis=0)[:, None], square)

    return jax.lax.fori_loop(0, size, add, jnp.zeros((side, side), jacobian.dtype))


def newton(settings: Settings, problem: Problem) -> Solution:
    """Accelerations under constraints: MJX's ``solver.solve`` for Newton's method and pyramidal cones.

    The steps, the line search and the criteria by which they end are MJX's; only the order of sums differs.
    """
    inertia, jacobian, weight = problem.inertia, problem.jacobian, problem.weight
    always = jax.lax.broadcasted_iota(jnp.int32, weight.shape, 0) < settings.equalities
    diagonal = jax.lax.broadcasted_iota(jnp.int32, inertia.shape, 0) == jax.lax.broadcasted_iota(jnp.int32, inertia.shape, 1)
    trace = jnp.maximum(mujoco.mjMINVAL, jnp.sum(jnp.where(diagonal, inertia, 0.0)))

    def times(matrix: jax.Array, vector: jax.Array) -> jax.Array:
        return jnp.sum(matrix * vector[None, :], axis=1)

    def evaluated(qacc: jax.Array, inertial: jax.Array, error: jax.Array) -> _At:
        force = jnp.where((error < 0) | always, -weight * error, 0.0)
        qfrc = jnp.sum(jacobian * force[:, None], axis=0)
        gauss = 0.5 * jnp.sum((inertial - problem.qfrc_smooth) * (qacc - problem.qacc_smooth))
        return _At(qacc, inertial, error, force, qfrc, gauss, gauss - 0.5 * jnp.sum(force * error))

    def at(qacc: jax.Array) -> _At:
        return evaluated(qacc, times(inertia, qacc), times(jacobian, qacc) - problem.aref)

    def gradient(here: _At) -> jax.Array:
        return here.inertial - problem.qfrc_smooth - here.qfrc

    def step(here: _At) -> _At:
        """One iteration: along Newton's direction to the least cost."""
        active = jnp.where((here.error < 0) | always, weight, 0.0)
        search = -solve_spd(settings.dofs, inertia + _weighted_square(settings.dofs, jacobian, active), gradient(here))
        inertial, error = times(inertia, search), times(jacobian, search)
        moved = _line_search(settings, problem, trace, always, here, search, inertial, error)
        return evaluated(here.qacc + moved * search, here.inertial + moved * inertial, here.error + moved * error)

    here = at(problem.qacc_smooth)
    if problem.qacc_warmstart is not None:
        warm = at(problem.qacc_warmstart)
        here = jax.tree.map(functools.partial(jnp.where, warm.cost < here.cost), warm, here)
    if settings.iterations == 1:
        here = step(here)
    else:

        def go_on(carry: tuple[jax.Array, jax.Array, _At]) -> jax.Array:
            number, before, here = carry
            done = number >= settings.iterations
            done |= (before - here.cost) / trace < settings.tolerance
            return ~(done | (_norm(gradient(here)) / trace < settings.tolerance))

        def turn(carry: tuple[jax.Array, jax.Array, _At]) -> tuple[jax.Array, jax.Array, _At]:
            number, _, here = carry
            return number + 1, here.cost, step(here)

        here = jax.lax.while_loop(go_on, turn, (jnp.int32(0), jnp.full_like(here.cost, jnp.inf), here))[2]
    return Solution(here.qacc, here.qfrc, here.force)


def _norm(vector: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(vector * vector))


def _line_search(
    settings: Settings,
    problem: Problem,
    trace: jax.Array,
    always: jax.Array,
    here: _At,
    search: jax.Array,
    inertial: jax.Array,
    error: jax.Array,
) -> jax.Array:
    """How far to go from ``here`` along ``search``, by Newton's method on the slope within a bracket.

    Args:
      settings: see `newton`; likewise what is not named here.
      problem: see `newton`.
      trace: ``[]`` of the inertia.
      always: ``[nefc]`` bool: the equalities.
      here: where the line starts.
      search: ``[nv]`` its direction.
      inertial: ``[nv]`` ``M @ search``.
      error: ``[nefc]`` ``J @ search``.

    Returns:
      ``[]`` the multiple of ``search``; 0 if no cost on the line is lower.
    """
    smallest = settings.tolerance * settings.ls_tolerance * _norm(search) * trace
    # Each active constraint adds a parabola to that of the inertia.
    free = jnp.sum(search * (here.inertial - problem.qfrc_smooth)), 0.5 * jnp.sum(search * inertial)
    parabola = (
        0.5 * here.error * here.error * problem.weight,
        error * here.error * problem.weight,
        0.5 * error * error * problem.weight,
    )

    def point(alpha: jax.Array) -> _Point:
        active = (here.error + alpha * error < 0) | always
        constant, linear, square = (jnp.sum(jnp.where(active, values, 0.0)) for values in parabola)
        constant, linear, square = constant + here.gauss, linear + free[0], square + free[1]
        return _Point(
            alpha=alpha,
            cost=alpha * alpha * square + alpha * linear + constant,
            slope=2 * alpha * square + linear,
            curvature=jnp.where(square == 0, mujoco.mjMINVAL, 2 * square),
        )

    def choose(condition: jax.Array, one: _Point, other: _Point) -> _Point:
        return jax.tree.map(functools.partial(jnp.where, condition), one, other)

    def newton_step(p: _Point) -> _Point:
        return point(p.alpha - p.slope / p.curvature)

    def narrower(x: jax.Array, y: jax.Array) -> jax.Array:
        return ((x < y) & (y < 0)) | ((x > y) & (y > 0))

    start = point(jnp.zeros_like(trace))
    # Rounding alone makes slopes of this size.
    rows = jnp.maximum(start.cost - here.gauss, 0.0) * jnp.maximum(0.5 * start.curvature - free[1], 0.0)
    rounding = 8 * jnp.finfo(jnp.float32).eps * (2.0 * jnp.sqrt(rows) + jnp.abs(free[0]))
    accepted_slope = jnp.maximum(smallest, rounding)

    def accepted(p: _Point) -> jax.Array:
        return (jnp.abs(p.slope) < accepted_slope) & (p.cost < start.cost)

    def go_on(carry: tuple[jax.Array, jax.Array, _Point, _Point]) -> jax.Array:
        number, moved, low, high = carry
        return (number < settings.ls_iterations) & moved & ~accepted(low) & ~accepted(high)

    def turn(carry: tuple[jax.Array, jax.Array, _Point, _Point]) -> tuple[jax.Array, jax.Array, _Point, _Point]:
        number, _, low, high = carry
        from_low, from_high, middle = newton_step(low), newton_step(high), point(0.5 * (low.alpha + high.alpha))
        moved = number < 0  # that is, not yet
        for candidate in (from_low, middle, from_high):
            better = narrower(low.slope, candidate.slope)
            low, moved = choose(better, candidate, low), moved | better
        for candidate in (from_high, middle, from_low):
            better = narrower(high.slope, candidate.slope)
            if candidate is from_high:  # a step over the minimum makes a bracket of two points on one side
                better |= (high.slope < 0) & (candidate.slope > 0)
            high, moved = choose(better, candidate, high), moved | better
        best, lowest = from_low, jnp.where(accepted(from_low), from_low.cost, jnp.inf)
        for candidate in (from_high, middle):
            better = accepted(candidate) & (candidate.cost < lowest)
            best, lowest = choose(better, candidate, best), jnp.where(better, candidate.cost, lowest)
        found = lowest < jnp.inf
        return number + 1, moved & ~found, choose(found, best, low), choose(found, best, high)

    first = newton_step(start)
    rises = first.slope < start.slope
    bracket = choose(rises, first, start), choose(rises, start, first)
    _, _, low, high = jax.lax.while_loop(go_on, turn, (jnp.int32(0), jnp.bool_(True), *bracket))
    improved = (low.cost < start.cost) | (high.cost < start.cost)
    return jnp.where(improved, jnp.where(low.cost < high.cost, low.alpha, high.alpha), 0.0)


def one_kernel(function: Callable[..., Any], *args: Any, interpret: bool = False) -> Any:
    """``function(*args)`` of one world, on an NVIDIA GPU as one kernel.

    Under ``vmap`` there is still one kernel, with a block of threads for each world.

    Args:
      function: takes and returns pytrees of float32 arrays; must bear arrays that are padded by zeros.
      args: its arguments.
      interpret: let Pallas play the kernel, on any machine: for tests.
    """
    kernel = functools.partial(_kernel, function, interpret)
    if interpret:
        return kernel(*args)
    return jax.lax.platform_dependent(*args, cuda=kernel, default=function)


def padded_size(shape: tuple[int, ...]) -> int:
    """Numbers in an array of this shape, once it is padded for a kernel."""
    return math.prod(_padded(shape))


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Triton's arrays have powers of 2 as sides."""
    return tuple(max(_SMALLEST_SIDE, 1 << (side - 1).bit_length()) for side in shape)


def _kernel(function: Callable[..., Any], interpret: bool, *args: Any) -> Any:
    # Imported here, because only a GPU needs it.
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    leaves, structure = jax.tree.flatten(args)
    results, of_results = jax.tree.flatten(jax.eval_shape(function, *args))

    def place(shape: tuple[int, ...]) -> tuple[tuple[jax.Array, ...], jax.Array]:
        """Indices of all numbers of a padded array, and whether each is one of the array itself."""
        wide = _padded(shape)
        indices = tuple(jax.lax.broadcasted_iota(jnp.int32, wide, axis) for axis in range(len(wide)))
        return indices, functools.reduce(jnp.logical_and, (i < side for i, side in zip(indices, shape, strict=True)))

    def body(*refs: Any) -> None:
        values = []
        for ref in refs[: len(leaves)]:
            indices, inside = place(ref.shape)
            values.append(triton.load(ref.at[indices], mask=inside, other=0.0))
        found = jax.tree.leaves(function(*jax.tree.unflatten(structure, values)))
        for ref, value in zip(refs[len(leaves) :], found, strict=True):
            indices, inside = place(ref.shape)
            triton.store(ref.at[indices], value, mask=inside)

    largest = max(padded_size(x.shape) for x in leaves)
    found = pl.pallas_call(
        body,
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in results],
        compiler_params=triton.CompilerParams(num_warps=min(16, max(1, largest // _NUMBERS_PER_WARP)), num_stages=1),
        interpret=interpret,
    )(*leaves)
    return jax.tree.unflatten(of_results, found)

"""`envs.engines.newton`: the solver of one world, as it is on a GPU (played by Pallas) and elsewhere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.engines.newton import Problem, Settings, newton, one_kernel, padded_size, solve_spd


def problem(dofs: int, constraints: int, seed: int = 0) -> Problem:
    draw = np.random.default_rng(seed).normal
    root = draw(size=(dofs, dofs))
    arrays = (
        root @ root.T + np.eye(dofs),
        draw(size=(constraints, dofs)),
        np.exp(draw(size=constraints)),
        draw(size=constraints),
        *draw(size=(3, dofs)),
    )
    return Problem(*(jnp.asarray(x, jnp.float32) for x in arrays))


SETTINGS = Settings(dofs=5, equalities=2, iterations=20, ls_iterations=20, tolerance=1e-8, ls_tolerance=0.01)


def test_newton_finds_the_accelerations_of_least_cost() -> None:
    """At the minimum the forces balance, and no constraint pulls but an equality."""
    given = problem(5, 11)
    given = given._replace(qacc_smooth=jnp.linalg.solve(given.inertia, given.qfrc_smooth))
    found = jax.jit(functools.partial(newton, SETTINGS))(given)
    error = given.jacobian @ found.qacc - given.aref
    active = (error < 0) | (jnp.arange(11) < 2)
    assert 2 < active.sum() < 11
    np.testing.assert_allclose(found.efc_force, jnp.where(active, -given.weight * error, 0), atol=1e-4)
    np.testing.assert_allclose(found.qfrc_constraint, given.jacobian.T @ found.efc_force, atol=1e-4)
    np.testing.assert_allclose(given.inertia @ found.qacc, given.qfrc_smooth + found.qfrc_constraint, atol=1e-3)


@pytest.mark.parametrize("warm", [True, False])
def test_the_kernel_computes_what_the_function_does(warm: bool) -> None:
    """Its arrays are wider: 5 numbers become 8, 11 become 16. Pallas plays it on any machine; a GPU also runs it."""
    given = problem(5, 11)
    given = given if warm else given._replace(qacc_warmstart=None)
    solver = functools.partial(newton, SETTINGS)
    expected = jax.jit(solver)(given)
    for found in (one_kernel(solver, given, interpret=True), jax.jit(functools.partial(one_kernel, solver))(given)):
        for a, b in zip(expected, found, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_system_is_solved_in_each_world() -> None:
    worlds = [problem(6, 1, seed) for seed in range(3)]
    inertia, force = (jnp.stack([getattr(world, name) for world in worlds]) for name in ("inertia", "qfrc_smooth"))
    solve = functools.partial(solve_spd, 6)
    expected = np.linalg.solve(np.asarray(inertia, np.float64), np.asarray(force)[..., None])[..., 0]
    for interpret in (True, False):
        found = jax.vmap(functools.partial(one_kernel, solve, interpret=interpret))(inertia, force)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_arrays_are_padded_to_powers_of_two() -> None:
    assert padded_size((242, 23)) == 256 * 32
    assert padded_size((2, 2)) == 8 * 8
    assert padded_size((64,)) == 64

"""Ensembles, and what losses see of transitions."""

import jax
import numpy as np

from mjx_tecrl.networks import both_ends, ensemble, first_end, mlp, residual
from tests.mjx_tecrl import reference
from tests.mjx_tecrl.reference import filled, gelu

rng = np.random.default_rng(0)
START, END = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(2))
WEIGHT = np.float32([1, 1, 0, 1, 1, 1])


def test_ensemble_members_are_independent() -> None:
    network = ensemble(mlp((8,))(3, 2), 3)
    params = jax.jit(network.init)(jax.random.key(0))
    kernels = params["params"]["Dense_0"]["kernel"]
    assert kernels.shape == (3, 3, 8)
    correlations = np.corrcoef(np.asarray(kernels).reshape(3, -1)) - np.eye(3)
    assert np.abs(correlations).max() < 0.8
    outputs = jax.jit(network.apply)(params, START)
    np.testing.assert_allclose(outputs, reference.ensemble(params, START, gelu)[1], rtol=1e-4, atol=1e-5)


def test_without_batch_statistics_each_end_is_seen_alone() -> None:
    network = ensemble(mlp((8,))(3, 2), 2)
    params, targets = (network.init(jax.random.key(seed)) for seed in (0, 1))
    here, there, statistics = both_ends(network, params, targets, START, END, WEIGHT)
    np.testing.assert_array_equal(here, network.apply(params, START))
    np.testing.assert_array_equal(there, network.apply(targets, END))
    assert statistics == ()
    output, statistics = first_end(network, params, START, END, WEIGHT)
    np.testing.assert_array_equal(output, here)
    assert statistics == ()


def test_batch_statistics_are_those_of_both_ends() -> None:
    network = residual(1, 4)(3, 2)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    params, targets = filled(shapes, 1), filled(shapes, 2)
    both, weight = np.concatenate([START, END]), np.tile(WEIGHT, 2)
    here, there, statistics = jax.jit(lambda p, t: both_ends(network, p, t, START, END, WEIGHT))(params, targets)
    np.testing.assert_allclose(here, reference.residual(params, both, weight)[:6], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(there, reference.residual(targets, both, weight)[6:], rtol=1e-3, atol=1e-3)
    alone = reference.residual(params, START, WEIGHT)
    assert np.abs(alone - here).max() > 0.1
    seen, old = both[weight > 0], params["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(statistics["BatchNorm_0"]["mean"], 0.99 * old["mean"] + 0.01 * seen.mean(0), rtol=1e-4)
    np.testing.assert_allclose(statistics["BatchNorm_0"]["var"], 0.99 * old["var"] + 0.01 * seen.var(0, ddof=1), rtol=1e-4)
    output, same = jax.jit(lambda p: first_end(network, p, START, END, WEIGHT))(params)
    np.testing.assert_allclose(output, here, rtol=1e-5, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), same, statistics)

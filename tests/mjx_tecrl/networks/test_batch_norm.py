"""Batch normalisation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjx_tecrl.networks.batch_norm import BatchNorm
from tests.mjx_tecrl.reference import f64, filled

OBS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
WEIGHT = np.float32([1] * 6 + [0] + [1] * 5 + [0] * 2 + [1] * 2)


def train(params: Any, x: Any, weight: Any) -> tuple[Any, Any]:
    """The output by statistics of the batch, and the new running ones."""
    output, collections = BatchNorm().apply(params, x, weight, mutable=["batch_stats"])
    return output, collections["batch_stats"]


def test_it_equals_plain_numpy() -> None:
    network, x = BatchNorm(), 3 * OBS + 1
    params = filled(jax.eval_shape(network.init, jax.random.key(0), OBS), 0)
    own, stats = params["params"], params["batch_stats"]
    affine = lambda x, mean, var: (x - mean) / np.sqrt(var + 1e-5) * own["scale"] + own["bias"]  # noqa: E731
    np.testing.assert_allclose(network.apply(params, x), affine(x, stats["mean"], stats["var"]), rtol=1e-5, atol=1e-5)

    output, new = jax.jit(train)(params, x, WEIGHT)
    seen = f64(x)[WEIGHT > 0]
    np.testing.assert_allclose(output, affine(x, seen.mean(0), seen.var(0)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(new["mean"], 0.99 * stats["mean"] + 0.01 * seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(new["var"], 0.99 * stats["var"] + 0.01 * seen.var(0, ddof=1), rtol=1e-5)


def test_a_batch_without_any_row_gives_finite_numbers() -> None:
    params = BatchNorm().init(jax.random.key(0), OBS)
    for x in jax.tree.leaves(train(params, OBS, jnp.zeros(16))):
        assert np.isfinite(x).all()

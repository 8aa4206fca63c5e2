"""The multilayer perceptron and ensembles."""

import jax
import numpy as np
import pytest

from mjx_tecrl.networks import MLP, apply_ensemble, init_ensemble
from tests.mjx_tecrl.reference import ensemble, gelu, mlp, relu

OBS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


@pytest.mark.parametrize(("activation", "reference"), [("gelu", gelu), ("relu", relu)])
def test_output_equals_plain_numpy(activation: str, reference: object) -> None:
    network = MLP((8, 5), 2, activation)
    params = jax.jit(network.init)(jax.random.key(0), OBS)
    np.testing.assert_allclose(jax.jit(network.apply)(params, OBS), mlp(params, OBS, reference)[1], rtol=1e-4, atol=1e-5)


def test_ensemble_members_are_independent() -> None:
    network = MLP((8,), 2)
    params = jax.jit(lambda key: init_ensemble(network, 3, key, OBS))(jax.random.key(0))
    kernels = params["params"]["Dense_0"]["kernel"]
    assert kernels.shape == (3, 3, 8)
    correlations = np.corrcoef(np.asarray(kernels).reshape(3, -1)) - np.eye(3)
    assert np.abs(correlations).max() < 0.8
    outputs = jax.jit(lambda params, obs: apply_ensemble(network, params, obs))(params, OBS)
    np.testing.assert_allclose(outputs, ensemble(params, OBS, gelu)[1], rtol=1e-4, atol=1e-5)

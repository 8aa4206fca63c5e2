"""The multilayer perceptron."""

import jax
import numpy as np
import pytest

from mjx_tecrl.networks import mlp
from tests.mjx_tecrl import reference
from tests.mjx_tecrl.reference import gelu, relu

OBS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


@pytest.mark.parametrize(("activation", "plain"), [("gelu", gelu), ("relu", relu)])
def test_output_equals_plain_numpy(activation: str, plain: object) -> None:
    network = mlp((8, 5), activation)(3, 2)
    params = jax.jit(network.init)(jax.random.key(0))
    expected = reference.mlp(params, OBS, plain)[1]
    np.testing.assert_allclose(jax.jit(network.apply)(params, OBS), expected, rtol=1e-4, atol=1e-5)


def test_it_is_the_same_in_training_and_settles_as_it_is() -> None:
    network = mlp((8,))(3, 2)
    params = jax.jit(network.init)(jax.random.key(0))
    output, statistics = network.apply_training(params, OBS, np.zeros(16, np.float32))
    np.testing.assert_array_equal(output, network.apply(params, OBS))
    assert statistics == ()
    assert network.settle(params, statistics) is params
    assert not network.batch_statistics


def test_the_output_layer_is_found_by_its_name() -> None:
    for hidden in ((), (8,), (8, 5)):
        network = mlp(hidden)(3, 2)
        layers = jax.eval_shape(network.init, jax.random.key(0))["params"]
        assert layers[network.output_layer]["bias"].shape == (2,)
        assert len(layers) == len(hidden) + 1


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown activation 'sin': choose one of gelu, relu, silu, tanh"):
        mlp((8,), "sin")

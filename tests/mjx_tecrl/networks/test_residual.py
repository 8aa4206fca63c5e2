"""FlashSAC's residual network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl.networks import ensemble, residual
from mjx_tecrl.networks.residual import orthogonal, project_weights
from tests.mjx_tecrl import reference
from tests.mjx_tecrl.reference import filled

OBS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
WEIGHT = np.float32([1] * 6 + [0] + [1] * 5 + [0] * 2 + [1] * 2)


@pytest.mark.parametrize("training", [False, True])
def test_it_equals_plain_numpy(training: bool) -> None:
    network = residual(2, 4)(3, 3)
    params = filled(jax.eval_shape(network.init, jax.random.key(0)), 1)
    run = jax.jit(lambda params: network.apply_training(params, OBS, WEIGHT)[0] if training else network.apply(params, OBS))
    expected = reference.residual(params, OBS, WEIGHT if training else None)
    np.testing.assert_allclose(run(params), expected, rtol=1e-4, atol=1e-4)


def test_running_statistics_have_no_gradient() -> None:
    network = residual(1, 4)(3, 3)
    params = jax.jit(network.init)(jax.random.key(0))

    def loss(params: Any) -> tuple[jax.Array, Any]:
        output, statistics = network.apply_training(params, OBS, WEIGHT)
        return (output**2).sum(), statistics

    gradient, _ = jax.jit(jax.grad(loss, has_aux=True))(params)
    assert not any(np.any(x) for x in jax.tree.leaves(gradient["batch_stats"]))
    assert all(np.any(x) for name, x in gradient["params"].items() if name.startswith("Dense") for x in x.values())


def check_spheres(weights: Any, before: Any) -> None:
    """All weights of an ensemble lie on their spheres, in the direction that they had before."""
    for name, module in weights.items():
        if name.startswith("Dense"):
            np.testing.assert_allclose(np.linalg.norm(module["kernel"], axis=-2), 1, rtol=1e-5)
            if "bias" in module:
                np.testing.assert_array_equal(module["bias"], before[name]["bias"])
        else:
            both = np.concatenate(list(module.values()), -1)
            np.testing.assert_allclose(np.linalg.norm(both, axis=-1), np.sqrt(module["scale"].shape[-1]), rtol=1e-5)
            ratios = both / np.concatenate([before[name][key] for key in module], -1)
            np.testing.assert_allclose(ratios, np.broadcast_to(ratios[:, :1], ratios.shape), rtol=1e-5)
    assert {name for name, module in weights.items() if "bias" in module and "kernel" in module} == {"Dense_3"}


def test_settled_weights_lie_on_their_spheres_and_the_statistics_are_the_new_ones() -> None:
    network = ensemble(residual(1, 4)(3, 3), 2)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    params, statistics = filled(shapes, 2), filled(shapes["batch_stats"], 3)
    settled = jax.jit(network.settle)(params, statistics)
    check_spheres(settled["params"], params["params"])
    jax.tree.map(np.testing.assert_array_equal, settled["batch_stats"], statistics)
    nothing = project_weights(jax.tree.map(jnp.zeros_like, params["params"]))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(nothing))


def test_a_fresh_network_lies_on_its_spheres() -> None:
    params = jax.jit(residual(1, 4)(3, 3).init)(jax.random.key(0))
    again = project_weights(params["params"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), again, params["params"])


@pytest.mark.parametrize(("blocks", "width"), [(0, 8), (1, 0)])
def test_networks_without_blocks_or_width_are_refused(blocks: int, width: int) -> None:
    with pytest.raises(ValueError, match="at least 1 block and a width of at least 1"):
        residual(blocks, width)


@pytest.mark.parametrize("shape", [(7, 7), (64, 16), (3, 64)])
def test_an_orthogonal_start_is_one(shape: tuple[int, int]) -> None:
    x = np.asarray(jax.vmap(lambda key: orthogonal(key, shape))(jax.random.split(jax.random.key(0), 50)))
    small = x if shape[0] < shape[1] else x.transpose(0, 2, 1)
    unit = np.broadcast_to(np.eye(min(shape)), (50, min(shape), min(shape)))
    np.testing.assert_allclose(small @ small.transpose(0, 2, 1), unit, atol=1e-4)
    # No direction is preferred: an entry's mean is 0 and its variance 1 / rows.
    assert abs(x.mean()) < 0.05
    assert x.var() == pytest.approx(1 / max(shape), rel=0.01)

"""The multilayer perceptron, the residual network and ensembles."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import networks
from mjx_tecrl.networks import (
    MLP,
    BatchNorm,
    apply,
    apply_ensemble,
    apply_training,
    init_ensemble,
    orthogonal,
    project_weights,
    residual_network,
    settle,
)
from tests.mjx_tecrl.reference import ensemble, f64, gelu, mlp, relu, residual

OBS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


@pytest.mark.parametrize(("activation", "reference"), [("gelu", gelu), ("relu", relu)])
def test_output_equals_plain_numpy(activation: str, reference: object) -> None:
    network = MLP((8, 5), 2, activation)
    params = jax.jit(network.init)(jax.random.key(0), OBS)
    np.testing.assert_allclose(jax.jit(network.apply)(params, OBS), mlp(params, OBS, reference)[1], rtol=1e-4, atol=1e-5)


def test_gelu_and_its_derivative_are_the_exact_ones() -> None:
    x = np.linspace(-12, 12, 4001, dtype=np.float32)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(networks.gelu)))(x)
    cdf = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in f64(x)])
    pdf = np.exp(-0.5 * f64(x) ** 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(value, x * cdf, rtol=5e-7, atol=1e-6)
    np.testing.assert_allclose(slope, cdf + x * pdf, rtol=5e-7, atol=1e-6)
    ends = jax.vmap(jax.value_and_grad(networks.gelu))(jnp.array([-1e30, 1e30, -jnp.inf, jnp.inf]))
    np.testing.assert_array_equal(ends[0][:2], np.float32([0, 1e30]))
    np.testing.assert_array_equal(ends[1][:2], [0, 1])
    assert not np.isfinite(ends[0][3])


def test_ensemble_members_are_independent() -> None:
    network = MLP((8,), 2)
    params = jax.jit(lambda key: init_ensemble(network, 3, key, OBS))(jax.random.key(0))
    kernels = params["params"]["Dense_0"]["kernel"]
    assert kernels.shape == (3, 3, 8)
    correlations = np.corrcoef(np.asarray(kernels).reshape(3, -1)) - np.eye(3)
    assert np.abs(correlations).max() < 0.8
    outputs = jax.jit(lambda params, obs: apply_ensemble(network, params, obs))(params, OBS)
    np.testing.assert_allclose(outputs, ensemble(params, OBS, gelu)[1], rtol=1e-4, atol=1e-5)


WEIGHT = np.float32([1] * 6 + [0] + [1] * 5 + [0] * 2 + [1] * 2)


def filled(tree: Any, seed: int) -> Any:
    """Positive random numbers in the place of all others."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.float32(rng.uniform(0.5, 2, size=x.shape)), tree)


def test_batch_normalisation_equals_plain_numpy() -> None:
    network, x = BatchNorm(), 3 * OBS + 1
    params = filled(jax.eval_shape(network.init, jax.random.key(0), OBS), 0)
    own, stats = params["params"], params["batch_stats"]
    affine = lambda x, mean, var: (x - mean) / np.sqrt(var + 1e-5) * own["scale"] + own["bias"]  # noqa: E731
    np.testing.assert_allclose(apply(network, params, x), affine(x, stats["mean"], stats["var"]), rtol=1e-5, atol=1e-5)

    output, new = jax.jit(lambda params: apply_training(network, params, WEIGHT, x))(params)
    seen = f64(x)[WEIGHT > 0]
    np.testing.assert_allclose(output, affine(x, seen.mean(0), seen.var(0)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(new["mean"], 0.99 * stats["mean"] + 0.01 * seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(new["var"], 0.99 * stats["var"] + 0.01 * seen.var(0, ddof=1), rtol=1e-5)


def test_a_batch_without_any_row_gives_finite_numbers() -> None:
    params = BatchNorm().init(jax.random.key(0), OBS)
    for x in jax.tree.leaves(apply_training(BatchNorm(), params, jnp.zeros(16), OBS)):
        assert np.isfinite(x).all()


@pytest.mark.parametrize("training", [False, True])
def test_residual_network_equals_plain_numpy(training: bool) -> None:
    network = residual_network(2, 4, 3)
    params = filled(jax.eval_shape(network.init, jax.random.key(0), OBS), 1)
    run = jax.jit(
        lambda params: apply_training(network, params, WEIGHT, OBS)[0] if training else apply(network, params, OBS)
    )
    expected = residual(params, OBS, WEIGHT if training else None)
    np.testing.assert_allclose(run(params), expected, rtol=1e-4, atol=1e-4)


def test_running_statistics_have_no_gradient() -> None:
    network = residual_network(1, 4, 3)
    params = jax.jit(network.init)(jax.random.key(0), OBS)

    def loss(params: Any) -> tuple[jax.Array, Any]:
        output, statistics = apply_training(network, params, WEIGHT, OBS)
        return (output**2).sum(), statistics

    gradient, _ = jax.jit(jax.grad(loss, has_aux=True))(params)
    assert not any(np.any(x) for x in jax.tree.leaves(gradient["batch_stats"]))
    assert all(np.any(x) for name, x in gradient["params"].items() if name.startswith("Dense") for x in x.values())


def test_settled_weights_lie_on_their_spheres() -> None:
    network = residual_network(1, 4, 3)
    params = filled(jax.eval_shape(lambda: init_ensemble(network, 2, jax.random.key(0), OBS)), 2)
    settled = jax.jit(settle)(params, params["batch_stats"])
    for name, module in settled["params"].items():
        before = params["params"][name]
        if name.startswith("Dense"):
            np.testing.assert_allclose(np.linalg.norm(module["kernel"], axis=-2), 1, rtol=1e-5)
            if "bias" in module:
                np.testing.assert_array_equal(module["bias"], before["bias"])
        else:
            both = np.concatenate(list(module.values()), -1)
            np.testing.assert_allclose(np.linalg.norm(both, axis=-1), np.sqrt(module["scale"].shape[-1]), rtol=1e-5)
            ratios = both / np.concatenate([before[key] for key in module], -1)
            np.testing.assert_allclose(ratios, np.broadcast_to(ratios[:, :1], ratios.shape), rtol=1e-5)
    assert {name for name, module in settled["params"].items() if "bias" in module and "kernel" in module} == {"Dense_3"}
    nothing = project_weights(jax.tree.map(jnp.zeros_like, params["params"]))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(nothing))


@pytest.mark.parametrize(("blocks", "width"), [(0, 8), (1, 0)])
def test_networks_without_blocks_or_width_are_refused(blocks: int, width: int) -> None:
    with pytest.raises(ValueError, match="at least 1 block and a width of at least 1"):
        residual_network(blocks, width, 2)


@pytest.mark.parametrize("shape", [(7, 7), (64, 16), (3, 64)])
def test_an_orthogonal_start_is_one(shape: tuple[int, int]) -> None:
    x = np.asarray(jax.vmap(lambda key: orthogonal(key, shape))(jax.random.split(jax.random.key(0), 50)))
    small = x if shape[0] < shape[1] else x.transpose(0, 2, 1)
    unit = np.broadcast_to(np.eye(min(shape)), (50, min(shape), min(shape)))
    np.testing.assert_allclose(small @ small.transpose(0, 2, 1), unit, atol=1e-4)
    # No direction is preferred: an entry's mean is 0 and its variance 1 / rows.
    assert abs(x.mean()) < 0.05
    assert x.var() == pytest.approx(1 / max(shape), rel=0.01)

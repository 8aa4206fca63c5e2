"""Graphs compute what the traced functions compute, by NumPy and by ONNX Runtime."""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval.graph import Graph, trace
from eval.onnx_file import to_onnx
from mjx_tecrl import Spec
from mjx_tecrl.networks import Architecture, mlp, residual
from mjx_tecrl.policies import Policy, deterministic, era_gaussian, gaussian, tanh_gaussian

SPEC = Spec(obs_size=5, action_size=3, privileged_size=1)
HEADS: dict[str, Callable[[Spec, Architecture], Policy]] = {
    "deterministic": deterministic,
    "era_gaussian": era_gaussian,
    "gaussian": gaussian,
    "tanh_gaussian": tanh_gaussian,
}
NETWORKS: dict[str, Architecture] = {
    "gelu": mlp((8, 8)),
    "relu": mlp((8,), "relu"),
    "silu_layer_norm": mlp((8, 8), "silu", layer_norm=True),
    "tanh": mlp((8,), "tanh"),
    "residual": residual(1, 4),
}


def random_like(tree: object, positive: str = "var") -> object:
    """Random numbers in the shapes of a tree; those whose name says that they are a variance are positive."""
    random = np.random.default_rng(0)

    def draw(path: tuple, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        numbers = random.normal(size=leaf.shape, scale=0.7).astype(leaf.dtype)
        return np.abs(numbers) if positive in jax.tree_util.keystr(path) else numbers

    return jax.tree_util.tree_map_with_path(draw, tree)


def in_runtime(graph: Graph, obs: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs by ONNX Runtime; the test is skipped where that is not installed."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="it is the extra export")
    session = onnxruntime.InferenceSession(to_onnx(graph, {"task": "none"}, "0"))
    assert session.get_modelmeta().custom_metadata_map == {"task": "none"}
    return dict(zip(graph.outputs, session.run(list(graph.outputs), {"obs": obs}), strict=True))


def by_numpy(graph: Graph, obs: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs by NumPy."""
    return graph(obs)


EVALUATORS = pytest.mark.parametrize("compute", [by_numpy, in_runtime])


@EVALUATORS
@pytest.mark.parametrize(("head", "network"), [*itertools.product(HEADS, NETWORKS)])
def test_every_head_on_every_network(head: str, network: str, compute: Callable) -> None:
    policy = HEADS[head](SPEC, NETWORKS[network])
    params = random_like(jax.eval_shape(policy.init, jax.random.key(0)))
    mode = jax.jit(lambda obs: {"action": policy.mode(params, obs)})
    graph = trace(mode, SPEC.obs_size)
    assert graph.outputs == {"action": 3}
    for batch in (1, 7):
        obs = np.random.default_rng(batch).normal(size=(batch, SPEC.obs_size)).astype(np.float32)
        got, want = compute(graph, obs)["action"], np.asarray(mode(obs)["action"])
        assert got.dtype == np.float32
        assert want.std() > 0.01
        np.testing.assert_allclose(got, want, atol=1e-5)


def repeats(obs: jax.Array) -> jax.Array:
    """A part of each result is the same for all observations."""
    held = jnp.broadcast_to(jnp.array([1.0, -2.0]), (*obs.shape[:-1], 2))
    return jnp.concatenate([held, obs[..., 1:3], obs[..., ::2]], -1)


FUNCTIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "repeats": repeats,
    "constant": lambda obs: jnp.broadcast_to(jnp.arange(2.0), (obs.shape[0], 2)),
    "picks": lambda obs: obs[:, np.array([3, 0, 0])],
    "mixes each": jax.vmap(lambda x: jnp.arange(10.0).reshape(2, 5) @ x),
    "chooses": lambda obs: jnp.where((obs > 0) & (obs != obs[:, :1]), obs**3, -jnp.abs(obs)),
    "clips": lambda obs: jnp.clip(obs, jnp.array([-0.1, -0.2, 0, 0, 0]), 0.3),
    "counts": lambda obs: (obs > 0.2).sum(-1, keepdims=True, dtype=jnp.float32) / 5,
    "turns": lambda obs: jnp.sin(obs) * jax.nn.softmax(obs) + jax.nn.sigmoid(-30 * obs) + jax.nn.standardize(obs),
    "reduces": lambda obs: jnp.stack([obs.min(-1), obs.max(-1)], -1),
}


@EVALUATORS
@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_functions(name: str, compute: Callable) -> None:
    obs = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    graph = trace(lambda obs: {"y": FUNCTIONS[name](obs)}, 5)
    got, want = compute(graph, obs)["y"], np.asarray(FUNCTIONS[name](jnp.asarray(obs)))
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_what_the_outputs_do_not_need_is_left_out() -> None:
    weights = jnp.ones((5, 2))
    graph = trace(lambda obs: {"y": jnp.split(jnp.concatenate([obs @ weights, jnp.exp(obs)], -1), [2], -1)[0]}, 5)
    assert "exp" in [step.function for step in graph.steps]  # joined before it is cut off
    graph = trace(lambda obs: {"y": (obs @ weights, jnp.exp(obs) * jnp.ones(5))[0] + jnp.sqrt(weights).sum()}, 5)
    assert [step.function for step in graph.steps] == ["matmul", "add", "positive"]
    assert {value.shape for value in graph.constants.values()} == {(5, 2), ()}


@pytest.mark.parametrize("function", [lambda obs: jnp.cumsum(obs, -1), lambda obs: jnp.sort(obs, -1)])
def test_an_unknown_operation_is_named(function: Callable) -> None:
    with pytest.raises(NotImplementedError, match=r"no step stands for JAX's (cumsum|sort) of \[batch, 5\]"):
        trace(lambda obs: {"y": function(obs)}, 5)

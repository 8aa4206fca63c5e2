"""What the tests compare the library with, in plain numpy and float64. Nothing here calls the library."""

from typing import Any

import jax
import numpy as np
from scipy.special import erf


def f64(x: Any) -> np.ndarray:
    """``x`` as a float64 array."""
    return np.asarray(x, np.float64)


def gelu(x: np.ndarray) -> np.ndarray:
    """The exact GELU."""
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def relu(x: np.ndarray) -> np.ndarray:
    """The rectifier."""
    return np.maximum(x, 0)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x))."""
    return np.logaddexp(0, x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The derivative of softplus."""
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    """The softmax over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def mlp(params: Any, x: Any, activation: Any) -> tuple[np.ndarray, np.ndarray]:
    """Last hidden features and output of a multilayer perceptron."""
    layers = params["params"]
    x = f64(x)
    for i in range(len(layers) - 1):
        x = activation(x @ f64(layers[f"Dense_{i}"]["kernel"]) + f64(layers[f"Dense_{i}"]["bias"]))
    last = layers[f"Dense_{len(layers) - 1}"]
    return x, x @ f64(last["kernel"]) + f64(last["bias"])


def ensemble(params: Any, x: Any, activation: Any) -> tuple[np.ndarray, np.ndarray]:
    """`mlp` of every member of stacked parameters, along a leading axis."""
    members = len(jax.tree.leaves(params)[0])
    outputs = [mlp(jax.tree.map(lambda leaf, i=i: leaf[i], params), x, activation) for i in range(members)]
    return np.stack([features for features, _ in outputs]), np.stack([output for _, output in outputs])


def last_layer(params: Any) -> Any:
    """Kernel and bias of the output layer, or their gradients."""
    layers = params["params"]
    return layers[f"Dense_{len(layers) - 1}"]


def residual(params: Any, x: Any, weight: Any = None) -> np.ndarray:
    """FlashSAC's residual network, by the statistics of the rows of weight 1, or without weights by the running ones."""
    weights, running = params["params"], params["batch_stats"]

    def norm(x: np.ndarray, i: int) -> np.ndarray:
        stats = running[f"BatchNorm_{i}"]
        seen = None if weight is None else x[np.asarray(weight) > 0]
        mean, var = (f64(stats["mean"]), f64(stats["var"])) if seen is None else (seen.mean(0), seen.var(0))
        own = weights[f"BatchNorm_{i}"]
        return (x - mean) / np.sqrt(var + 1e-5) * f64(own["scale"]) + f64(own["bias"])

    def linear(x: np.ndarray, i: int) -> np.ndarray:
        own = weights[f"Dense_{i}"]
        return x @ f64(own["kernel"]) + f64(own.get("bias", 0.0))

    x = linear(norm(f64(x), 0), 0)
    last = len([name for name in weights if name.startswith("Dense")]) - 1
    for i in range(1, last, 2):
        inner = relu(norm(linear(x, i), i))
        x = x + relu(norm(linear(inner, i + 1), i + 1))
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * f64(weights["RMSNorm_0"]["scale"])
    return linear(x, last)


def filled(tree: Any, seed: int) -> Any:
    """The tree with positive random numbers for all of its own."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: rng.uniform(0.5, 2, size=x.shape).astype(np.float32), tree)


def tanh_gaussian_log_prob(z: np.ndarray, mean: np.ndarray, log_std: np.ndarray) -> np.ndarray:
    """Log-density of tanh(mean + std z) by the change of variables, elementwise."""
    u = mean + np.exp(log_std) * z
    log_sech_squared = -2 * (np.abs(u) + np.log1p(np.exp(-2 * np.abs(u))) - np.log(2))
    return -(z**2) / 2 - log_std - np.log(2 * np.pi) / 2 - log_sech_squared

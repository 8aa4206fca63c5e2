"""Networks: an MLP, a residual network with batch normalisation, and ensembles of anything."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mjx_tecrl.types import Params


@jax.custom_jvp
def gelu(x: jax.Array) -> jax.Array:
    """The Gaussian error linear unit ``x Phi(x)``, the exact one (arXiv 1606.08415).

    Not ``jax.nn.gelu``: that takes the complementary error function, which is three times as dear and no better within
    rounding of the result's largest summand, and computes it again for the derivative.
    """
    return x * _normal_cdf(x)


@gelu.defjvp
def _gelu_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    cdf = _normal_cdf(x)
    pdf = jnp.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    return x * cdf, (cdf + x * pdf) * tangent


def _normal_cdf(x: jax.Array) -> jax.Array:
    return 0.5 * (1 + jax.lax.erf(x * math.sqrt(0.5)))


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": gelu,
    "relu": nn.relu,
    "silu": nn.silu,
    "tanh": nn.tanh,
}
"""Activation functions by their name in a config."""


class MLP(nn.Module):
    """A multilayer perceptron ``[..., in] -> [..., output]`` with a linear output layer.

    Attributes:
      hidden: widths of the hidden layers.
      output: width of the output.
      activation: a name in `ACTIVATIONS`.
      layer_norm: normalise each hidden layer before its activation.
      output_std: standard deviation of the output layer's normal initialisation; None for flax's default.
    """

    hidden: Sequence[int]
    output: int
    activation: str = "gelu"
    layer_norm: bool = False
    output_std: float | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.hidden:
            x = nn.Dense(width)(x)
            if self.layer_norm:
                x = nn.LayerNorm()(x)
            x = ACTIVATIONS[self.activation](x)
        if self.output_std is None:
            return nn.Dense(self.output)(x)
        return nn.Dense(self.output, kernel_init=nn.initializers.normal(self.output_std))(x)


class BatchNorm(nn.Module):
    """Batch normalisation ``[batch, width] -> [batch, width]``, with a learned scale and bias per unit.

    Without weights it normalises by the running statistics (collection ``batch_stats``). With ``weight`` ``[batch]`` it
    normalises by the statistics of the rows of weight 1, and the running ones take a step towards those.

    Attributes:
      step: step of the running statistics.
      epsilon: added to the variance.
    """

    step: float = 0.01
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, weight: jax.Array | None = None) -> jax.Array:
        width = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (width,))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, width)
        running_var = self.variable("batch_stats", "var", jnp.ones, width)
        if weight is None:
            mean, var = running_mean.value, running_var.value
        else:
            rows = weight.sum()
            # Sums, not products of matrices: those an accelerator may round. Selects, not products: NaN times zero is NaN.
            seen = weight[:, None] > 0
            mean = jnp.where(seen, x, 0.0).sum(-2) / rows.clip(1.0)
            var = jnp.where(seen, (x - mean) ** 2, 0.0).sum(-2) / rows.clip(1.0)
            unbiased = var * rows / (rows - 1).clip(1.0)
            running_mean.value = (1 - self.step) * running_mean.value + self.step * mean
            running_var.value = (1 - self.step) * running_var.value + self.step * unbiased
        return (x - mean) * jax.lax.rsqrt(var + self.epsilon) * scale + bias


def orthogonal(key: jax.Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> jax.Array:
    """A random matrix with orthonormal columns, or rows if it is wide, uniform among those (an initialiser of flax's kind).

    The orthogonal part of a Gaussian matrix, by Newton and Schulz' iteration. Not ``nn.initializers.orthogonal``: several
    batched QR factorisations at once can wait for each other for ever in the CPU runtime (seen with jaxlib 0.10.2).
    """
    x = jax.random.normal(key, (max(shape), min(shape)), dtype)
    x /= jnp.linalg.norm(x)
    # A small singular value grows by half with each step: these are enough for 1e-8.
    x = jax.lax.fori_loop(0, 60, lambda _, x: 1.5 * x - 0.5 * x @ (x.T @ x), x)
    return x if shape[0] >= shape[1] else x.T


class ResidualNetwork(nn.Module):
    """FlashSAC's network ``[batch, in] -> [batch, output]`` (arXiv 2604.04539).

    Batch normalisation and a linear layer; residual blocks of two linear layers, each followed by batch normalisation and a
    rectifier; root-mean-square normalisation; a linear output layer, the only one with a bias. Its weights are meant to be
    kept on spheres by `project_weights`.

    Attributes:
      blocks: number of residual blocks.
      width: width of the network; in the middle of a block it is four times that.
      output: width of the output.
    """

    blocks: int
    width: int
    output: int

    @nn.compact
    def __call__(self, x: jax.Array, weight: jax.Array | None = None) -> jax.Array:
        def linear(x: jax.Array, width: int, use_bias: bool = False) -> jax.Array:
            return nn.Dense(width, use_bias=use_bias, kernel_init=orthogonal)(x)

        x = linear(BatchNorm()(x, weight), self.width)
        for _ in range(self.blocks):
            inner = nn.relu(BatchNorm()(linear(x, 4 * self.width), weight))
            x += nn.relu(BatchNorm()(linear(inner, self.width), weight))
        return linear(nn.RMSNorm(epsilon=1e-6)(x), self.output, use_bias=True)


def residual_network(blocks: int, width: int, output: int) -> ResidualNetwork:
    """A `ResidualNetwork`.

    Raises:
      ValueError: no blocks, or no width.
    """
    if blocks < 1 or width < 1:
        raise ValueError(f"a residual network needs at least 1 block and a width of at least 1, not {blocks} and {width}")
    return ResidualNetwork(blocks, width, output)


def project_weights(weights: Params) -> Params:
    """The weights of a `ResidualNetwork` (collection ``params``), or of an ensemble of them, on their spheres.

    The weights into each unit get norm 1; the scales and biases of a normalisation of ``width`` units get, together, norm
    ``sqrt(width)``; the output layer's bias stays as it is.
    """
    if "kernel" in weights:
        norm = jnp.linalg.norm(weights["kernel"], axis=-2, keepdims=True)
        return weights | {"kernel": weights["kernel"] / norm.clip(1e-8)}
    if "scale" in weights:
        norm = jnp.sqrt(sum((x**2).sum(-1, keepdims=True) for x in weights.values()))
        size = weights["scale"].shape[-1] ** 0.5
        return {name: x * size / norm.clip(1e-8) for name, x in weights.items()}
    return {name: project_weights(inner) for name, inner in weights.items()}


def settle(params: Params, statistics: Params) -> Params:
    """A `ResidualNetwork`'s parameters after a gradient step: projected, and with new running ``statistics``."""
    return {"params": project_weights(params["params"]), "batch_stats": statistics}


def apply_training(network: nn.Module, params: Params, weight: jax.Array, *inputs: jax.Array) -> tuple[jax.Array, Params]:
    """The network's output where batch normalisation sees the rows of ``weight`` 1, and the new running statistics."""
    output, collections = network.apply(params, *inputs, weight, mutable=["batch_stats"])
    return output, collections["batch_stats"]


def apply(network: nn.Module, params: Params, *inputs: jax.Array) -> jax.Array:
    """The network's output; ``network.apply`` for networks with parameters only."""
    output: jax.Array = network.apply(params, *inputs)  # type: ignore[assignment]
    return output


def init_ensemble(network: nn.Module, members: int, key: jax.Array, *inputs: jax.Array) -> Params:
    """Independent parameters of ``members`` copies of ``network``, stacked along a leading axis."""
    return jax.vmap(lambda k: network.init(k, *inputs))(jax.random.split(key, members))


def apply_ensemble(network: nn.Module, params: Params, *inputs: Any) -> jax.Array:
    """All members on the same inputs: ``[members, ...]``, one batched product per layer."""
    return jax.vmap(lambda p: apply(network, p, *inputs))(params)

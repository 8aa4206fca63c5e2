"""FlashSAC's residual network, with batch normalisation and weights on unit spheres (arXiv 2604.04539)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mjx_tecrl.networks.base import Architecture, Network
from mjx_tecrl.networks.batch_norm import BatchNorm
from mjx_tecrl.types import Params


def orthogonal(key: jax.Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> jax.Array:
    """A random matrix with orthonormal columns (or rows, if it is wide), uniform among those; an initialiser of flax's kind.

    It is the orthogonal part of a Gaussian matrix, found by Newton and Schulz' iteration. ``nn.initializers.orthogonal`` is
    not used: several batched QR factorisations at once can wait for each other for ever in the CPU runtime (seen with jaxlib
    0.10.2).
    """
    x = jax.random.normal(key, (max(shape), min(shape)), dtype)
    x /= jnp.linalg.norm(x)
    # A small singular value grows by half with each step: this many steps are enough for one of 1e-8.
    x = jax.lax.fori_loop(0, 60, lambda _, x: 1.5 * x - 0.5 * x @ (x.T @ x), x)
    return x if shape[0] >= shape[1] else x.T


class ResidualNetwork(nn.Module):
    """FlashSAC's network ``[batch, in] -> [batch, output]`` (arXiv 2604.04539).

    It consists of batch normalisation and a linear layer; residual blocks of two linear layers, each followed by batch
    normalisation and a rectifier; root-mean-square normalisation; and a linear output layer, the only one with a bias.
    `project_weights` keeps its weights on spheres.

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


def project_weights(weights: Params) -> Params:
    """The weights of a `ResidualNetwork` (collection ``params``) on their spheres.

    The weights into each unit get norm 1. The scales and biases of a normalisation of ``width`` units get, together, norm
    ``sqrt(width)``. The output layer's bias stays as it is.
    """
    if "kernel" in weights:
        norm = jnp.linalg.norm(weights["kernel"], axis=-2, keepdims=True)
        return weights | {"kernel": weights["kernel"] / norm.clip(1e-8)}
    if "scale" in weights:
        norm = jnp.sqrt(sum((x**2).sum(-1, keepdims=True) for x in weights.values()))
        size = weights["scale"].shape[-1] ** 0.5
        return {name: x * size / norm.clip(1e-8) for name, x in weights.items()}
    return {name: project_weights(inner) for name, inner in weights.items()}


def residual(blocks: int, width: int) -> Architecture:
    """A `ResidualNetwork` whose weights are projected onto their spheres at the start and after each gradient step.

    Args:
      blocks: number of residual blocks.
      width: width of the network; in the middle of a block it is four times that.

    Raises:
      ValueError: no blocks, or no width.
    """
    if blocks < 1 or width < 1:
        raise ValueError(f"a residual network needs at least 1 block and a width of at least 1, not {blocks} and {width}")

    def with_sizes(input_size: int, output_size: int) -> Network:
        module = ResidualNetwork(blocks, width, output_size)

        def init(key: jax.Array) -> Params:
            params = module.init(key, jnp.zeros((1, input_size)))
            return settle(params, params["batch_stats"])

        def apply(params: Params, x: jax.Array) -> jax.Array:
            output: jax.Array = module.apply(params, x)  # type: ignore[assignment]
            return output

        def apply_training(params: Params, x: jax.Array, weight: jax.Array) -> tuple[jax.Array, Params]:
            output, collections = module.apply(params, x, weight, mutable=["batch_stats"])
            return output, collections["batch_stats"]

        def settle(params: Params, statistics: Params) -> Params:
            return {"params": project_weights(params["params"]), "batch_stats": statistics}

        return Network(init, apply, apply_training, settle, batch_statistics=True)

    return with_sizes

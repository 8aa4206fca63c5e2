"""Networks: one MLP, and ensembles of anything."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax

from mjx_tecrl.types import Params

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "relu": nn.relu,
    "silu": nn.silu,
    "tanh": nn.tanh,
}
"""Activation functions by their name in a config; "gelu" is the exact one (erf)."""


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

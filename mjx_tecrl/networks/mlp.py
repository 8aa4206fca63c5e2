"""The multilayer perceptron."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mjx_tecrl.networks.activations import ACTIVATIONS
from mjx_tecrl.networks.base import Architecture, Network
from mjx_tecrl.types import Params


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


def mlp(
    hidden: Sequence[int], activation: str = "gelu", layer_norm: bool = False, output_std: float | None = None
) -> Architecture:
    """A multilayer perceptron with a linear output layer.

    Args:
      hidden: widths of the hidden layers.
      activation: a name in `ACTIVATIONS`.
      layer_norm: normalise each hidden layer before its activation.
      output_std: standard deviation of the output layer's normal initialisation; None for flax's default.

    Raises:
      ValueError: an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")

    def with_sizes(input_size: int, output_size: int) -> Network:
        module = MLP(hidden, output_size, activation, layer_norm, output_std)

        def init(key: jax.Array) -> Params:
            return module.init(key, jnp.zeros((1, input_size)))

        def apply(params: Params, x: jax.Array) -> jax.Array:
            output: jax.Array = module.apply(params, x)  # type: ignore[assignment]
            return output

        return Network(
            init=init,
            apply=apply,
            apply_training=lambda params, x, weight: (apply(params, x), ()),
            settle=lambda params, statistics: params,
            batch_statistics=False,
            output_layer=f"Dense_{len(hidden)}",
        )

    return with_sizes

"""Batch normalisation."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class BatchNorm(nn.Module):
    """Batch normalisation ``[batch, width] -> [batch, width]``, with a learned scale and bias per unit.

    Without weights it normalises by the running statistics (collection ``batch_stats``). With ``weight`` ``[batch]`` it
    normalises by the statistics of the rows of weight 1, and the running ones take a step towards those.

    ``flax.linen.BatchNorm`` with a mask and ``use_fast_variance=False`` gives the same output, bit for bit, but not the same
    running statistics. Flax averages the biased variance; FlashSAC averages the unbiased one. And where no row has weight 1,
    flax's statistics become NaN for ever; here they stay finite.

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
            # Sums, because an accelerator may round products of matrices. Selects, because NaN times zero is NaN.
            seen = weight[:, None] > 0
            mean = jnp.where(seen, x, 0.0).sum(-2) / rows.clip(1.0)
            var = jnp.where(seen, (x - mean) ** 2, 0.0).sum(-2) / rows.clip(1.0)
            unbiased = var * rows / (rows - 1).clip(1.0)
            running_mean.value = (1 - self.step) * running_mean.value + self.step * mean
            running_var.value = (1 - self.step) * running_var.value + self.step * unbiased
        return (x - mean) * jax.lax.rsqrt(var + self.epsilon) * scale + bias

"""Running mean and standard deviation of observations."""

import dataclasses

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Normalizer:
    """Statistics of all observations seen.

    Attributes:
      count: [] observations.
      mean: ``[obs_size]``.
      squares: ``[obs_size]`` sum of squared deviations from the mean.
    """

    count: jax.Array
    mean: jax.Array
    squares: jax.Array

    def normalize(self, obs: jax.Array) -> jax.Array:
        """``(obs - mean) / (std + 0.01)`` (FastTD3), unchanged before the first update.

        ``obs`` may lack its last numbers, those that only critics observe.
        """
        width = obs.shape[-1]
        std = jnp.sqrt(self.squares[:width] / self.count.clip(1.0))
        return jnp.where(self.count > 0, (obs - self.mean[:width]) / (std + 0.01), obs)


def init_normalizer(obs_size: int) -> Normalizer:
    """Nothing seen yet."""
    return Normalizer(jnp.zeros(()), jnp.zeros(obs_size), jnp.zeros(obs_size))


def update_normalizer(normalizer: Normalizer, obs: jax.Array, seen: jax.Array) -> Normalizer:
    """Statistics with ``obs`` ``[batch, obs_size]`` merged in where ``seen`` ``[batch]`` (Chan et al., 1979)."""
    n = seen.sum(dtype=jnp.float32)
    # A select, not a product: an observation that was not seen may be NaN.
    mean = jnp.where(seen[:, None], obs, 0.0).sum(0) / n.clip(1.0)
    squares = jnp.where(seen[:, None], (obs - mean) ** 2, 0.0).sum(0)
    count = normalizer.count + n
    share = n / count.clip(1.0)
    delta = mean - normalizer.mean
    return Normalizer(
        count=count,
        mean=normalizer.mean + delta * share,
        squares=normalizer.squares + squares + delta**2 * normalizer.count * share,
    )

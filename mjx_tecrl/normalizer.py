"""Running statistics of observations and of rewards, and normalisation by them."""

import dataclasses

import jax
import jax.numpy as jnp

from mjx_tecrl.checks import check_array

REMEMBERED_UPDATES = 2**18
"""The statistics are those of everything seen up to so many updates. From then on each update forgets as much as it adds.

Without this bound a float32 count stops growing at 2^24 updates while the sum of squares goes on, and before that the sum of
squares rounds away what is added to it.
"""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Normalizer:
    """Statistics of the observations seen, see `REMEMBERED_UPDATES`.

    Attributes:
      count: [] number of observations, at most `REMEMBERED_UPDATES` batches of them.
      mean: ``[obs_size]``.
      squares: ``[obs_size]`` sum of squared deviations from the mean.
    """

    count: jax.Array
    mean: jax.Array
    squares: jax.Array

    def normalize(self, obs: jax.Array) -> jax.Array:
        """``(obs - mean) / (std + 0.01)`` (FastTD3); ``obs`` itself before the first update.

        ``obs`` may lack its last columns, which only critics observe.

        Raises:
          ValueError: ``obs`` is wider than the statistics.
        """
        width = obs.shape[-1]
        if width > self.mean.shape[0]:
            raise ValueError(f"obs must be at most {self.mean.shape[0]} wide, as the statistics are, not {width}")
        std = jnp.sqrt(self.squares[:width] / self.count.clip(1.0))
        return jnp.where(self.count > 0, (obs - self.mean[:width]) / (std + 0.01), obs)


def init_normalizer(obs_size: int) -> Normalizer:
    """Statistics of no observations."""
    return Normalizer(jnp.zeros(()), jnp.zeros(obs_size), jnp.zeros(obs_size))


def update_normalizer(normalizer: Normalizer, obs: jax.Array, seen: jax.Array) -> Normalizer:
    """Merges ``obs`` ``[batch, obs_size]`` into the statistics where ``seen`` ``[batch]`` bool (Chan et al., 1979).

    Beyond `REMEMBERED_UPDATES` batches the count stands still, and the sum of squares is scaled down with it.

    Raises:
      TypeError, ValueError: arrays of another dtype or shape.
    """
    check_array("obs", obs, (None, normalizer.mean.shape[0]))
    check_array("seen", seen, (obs.shape[0],), bool)
    n = seen.sum(dtype=jnp.float32)
    # A select, not a product: a row that was not seen may hold NaN.
    mean = jnp.where(seen[:, None], obs, 0.0).sum(0) / n.clip(1.0)
    squares = jnp.where(seen[:, None], (obs - mean) ** 2, 0.0).sum(0)
    count = normalizer.count + n
    share = n / count.clip(1.0)
    delta = mean - normalizer.mean
    total = normalizer.squares + squares + delta**2 * normalizer.count * share
    most = float(REMEMBERED_UPDATES * obs.shape[0])
    # Not count - most: where both are large, the few observations between them would be rounded.
    excess = (n - (most - normalizer.count)).clip(0.0)
    return Normalizer(
        count=jnp.minimum(count, most),
        mean=normalizer.mean + delta * share,
        squares=total - total * (excess / count.clip(1.0)),
    )


LARGEST_RETURN = 5.0
"""Bound on the magnitude of scaled discounted returns (FlashSAC's G_max)."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RewardScaler:
    """Statistics of the discounted returns (arXiv 2604.04539).

    G starts at 0 with each episode; each step sets it to ``discount * G + reward``.

    Attributes:
      returns: ``[worlds]`` G of the present episode.
      moments: statistics of G, with ``obs_size`` 1.
      largest: [] the largest ``|G|`` seen.
    """

    returns: jax.Array = dataclasses.field(metadata={"axes": ("world",)})
    moments: Normalizer = dataclasses.field(metadata={"axes": ()})
    largest: jax.Array = dataclasses.field(metadata={"axes": ()})

    def scale(self, reward: jax.Array) -> jax.Array:
        """``reward / max(std of G, max |G| / LARGEST_RETURN)``; ``reward`` itself before the first update."""
        variance = self.moments.squares[0] / self.moments.count.clip(1.0)
        divisor = jnp.maximum(jnp.sqrt(variance + 1e-8), self.largest / LARGEST_RETURN)
        return jnp.where(self.moments.count > 0, reward / divisor, reward)


def init_reward_scaler(worlds: int) -> RewardScaler:
    """Statistics of no rewards."""
    return RewardScaler(jnp.zeros(worlds), init_normalizer(1), jnp.zeros(()))


def update_reward_scaler(
    scaler: RewardScaler, reward: jax.Array, done: jax.Array, valid: jax.Array, discount: float
) -> RewardScaler:
    """Merges one step of all worlds into the statistics.

    Args:
      scaler: the statistics so far.
      reward: ``[worlds]``.
      done: ``[worlds]`` bool, the episode ended.
      valid: ``[worlds]`` bool, the row is a real transition; where it is not, nothing is counted and G starts anew.
      discount: the discount factor gamma.

    Raises:
      TypeError, ValueError: arrays of another dtype or shape.
    """
    worlds = scaler.returns.shape
    check_array("reward", reward, worlds)
    check_array("done", done, worlds, bool)
    check_array("valid", valid, worlds, bool)
    returns = jnp.where(valid, discount * scaler.returns + reward, 0.0)
    return RewardScaler(
        returns=jnp.where(done, 0.0, returns),
        moments=update_normalizer(scaler.moments, returns[:, None], valid),
        largest=jnp.maximum(scaler.largest, jnp.abs(returns).max()),
    )

"""ERA: entropy regularising activations, which guarantee an entropy floor by construction (arXiv 2510.08549)."""

import jax
import jax.numpy as jnp

GAUSSIAN_ENTROPY = 1.4189385332046727
"""Entropy of the standard normal, log sqrt(2 pi e), nats."""


def era_log_std(raw: jax.Array, entropy_per_dim: float | jax.Array, log_std_range: tuple[float, float]) -> jax.Array:
    """Log standard deviations whose Gaussian has at least the asked entropy (ERA Eq. 11).

    The softmax deals out a fixed total: where nothing clips, the Gaussian's entropy EQUALS ``d * entropy_per_dim``, and
    clipping at the lower end only raises it.

    Args:
      raw: ``[..., d]`` network output.
      entropy_per_dim: the floor on the underlying Gaussian's entropy, nats per dimension.
      log_std_range: (lowest, highest) log standard deviation.

    Returns:
      ``[..., d]`` log standard deviations.
    """
    low, high = log_std_range
    d = raw.shape[-1]
    total = d * (high - entropy_per_dim + GAUSSIAN_ENTROPY)
    return jnp.clip(high - total * jax.nn.softmax(raw, axis=-1), low, high)


def check_era(entropy_per_dim: float, log_std_range: tuple[float, float]) -> None:
    """Checks that the floor can be met.

    Raises:
      ValueError: even the widest Gaussian has less entropy than asked, or the range is empty.
    """
    low, high = log_std_range
    if not low < high:
        raise ValueError(f"log_std_range must be increasing, not {log_std_range}")
    if entropy_per_dim > high + GAUSSIAN_ENTROPY:
        raise ValueError(
            f"an entropy of {entropy_per_dim} nats per dimension cannot be reached with log_std <= {high}: "
            f"the most is {high + GAUSSIAN_ENTROPY:.3f}"
        )

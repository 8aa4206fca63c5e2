"""ERA: entropy regularising activations, which guarantee a floor of the entropy by construction (arXiv 2510.08549)."""

import math

import jax
import jax.numpy as jnp

from mjx_tecrl.distributions import normal


def era_log_std(raw: jax.Array, entropy_per_dim: float | jax.Array, log_std_range: tuple[float, float]) -> jax.Array:
    """Log standard deviations of a Gaussian whose entropy is at least the floor (ERA Eq. 11).

    The softmax distributes a fixed total. Where nothing is clipped, the Gaussian's entropy EQUALS ``d * entropy_per_dim``;
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
    total = d * (high - entropy_per_dim + normal.ENTROPY)
    return jnp.clip(high - total * jax.nn.softmax(raw, axis=-1), low, high)


def check_era(entropy_per_dim: float, log_std_range: tuple[float, float]) -> None:
    """Checks that the floor can be reached.

    Raises:
      ValueError: even the widest Gaussian has less entropy than the floor, or the range is empty.
    """
    low, high = log_std_range
    if not low < high:
        raise ValueError(f"log_std_range must be increasing, not {log_std_range}")
    if entropy_per_dim > high + normal.ENTROPY:
        raise ValueError(
            f"an entropy of {entropy_per_dim} nats per dimension cannot be reached with log_std <= {high}: "
            f"the most is {high + normal.ENTROPY:.3f}"
        )


# The softmax form. Where p = 1 the activation returns -log tau, so that every z'_i <= -log tau < -1.
_TAU = 4.0
_LARGEST_SHARE = math.log(_TAU) / _TAU


def softmax_era(logits: jax.Array, floor: float | jax.Array) -> jax.Array:
    """Logits whose softmax has an entropy of at least the floor (ERA Eq. 15, tau = 4).

    Every class gets a share ``h_i = -z'_i exp(z'_i)`` of the fixed total ``exp(floor - 1)``; likelier classes get more. The
    softmax of any z' has an entropy of at least ``1 + log sum_i(-z'_i exp(z'_i))``. The closed form for z' is an approximate
    inverse of h and loses up to 0.0125 nats of that, but ``z' <= -log tau`` wins 0.0597. So the floor holds for every input
    and for every floor that `check_softmax_era` accepts. A one-hot input has the least entropy.

    Args:
      logits: ``[..., n]`` network output, finite; its differences may be arbitrarily large.
      floor: smallest entropy, nats.

    Returns:
      ``[..., n]`` logits, all below -1.38. They keep the order of the input, and are equal where the input is.
    """
    total = jnp.exp(floor - 1)
    p = jax.nn.softmax(logits, axis=-1)
    # Eq. 15's h_i, written as an average of positive numbers, which keeps its digits where there are many classes.
    share = p * _LARGEST_SHARE + (1 - p) * (total - _LARGEST_SHARE) / (logits.shape[-1] - 1)
    u = -1 - jnp.log(share)
    return -1 - jnp.sqrt(2 * u) - 0.75 * u


def check_softmax_era(classes: int, floor: float) -> None:
    """Checks that `softmax_era` can keep a floor and still tell the classes apart.

    Below the accepted range, the share of an unlikely class is not positive. Above it, unlikely classes would be preferred;
    at its upper end, every output is uniform.

    Raises:
      ValueError: the floor (nats) is not above ``1 + log(log(4) / 4)`` = -0.060 and below ``log(classes)`` - 0.060.
    """
    if classes < 2:
        raise ValueError(f"a distribution over {classes} classes has no entropy to keep: at least 2 are needed")
    low = 1 + math.log(_LARGEST_SHARE)
    high = low + math.log(classes)
    if not low < floor < high:
        raise ValueError(
            f"with {classes} classes the entropy floor must lie between {low:.4f} and {high:.4f} nats, not {floor}"
        )


def token_entropy(logits: jax.Array) -> jax.Array:
    """Entropy of each token's softmax.

    Args:
      logits: ``[..., n]``.

    Returns:
      ``[...]`` nats.
    """
    log_p = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)


def response_entropy(entropy: jax.Array, mask: jax.Array, top_share: float = 0.2) -> jax.Array:
    """H_resp: the mean of a response's largest token entropies.

    Args:
      entropy: ``[..., t]`` token entropies, nats.
      mask: ``[..., t]`` True for the response's tokens, False for padding.
      top_share: share of the tokens that counts. The number is rounded down, but is always at least one.

    Returns:
      ``[...]`` nats; 0 for a response without tokens.
    """
    descending = -jnp.sort(-jnp.where(mask, entropy, -jnp.inf), axis=-1)
    length = jnp.sum(mask, axis=-1, keepdims=True)
    # In float32, 0.29 x 100 is 28.999998. Rounding must not take a token away.
    count = jnp.minimum(jnp.maximum(jnp.floor(top_share * length + 1e-4), 1), length)
    counted = jnp.arange(entropy.shape[-1]) < count
    return jnp.sum(jnp.where(counted, descending, 0), axis=-1) / jnp.maximum(count[..., 0], 1)


def token_era(
    logits: jax.Array,
    advantages: jax.Array,
    h_resp: jax.Array,
    mask: jax.Array,
    low: float = 0.45,
    high: float = 3.0,
    k: float = 2.0,
) -> tuple[jax.Array, jax.Array]:
    """Logits and advantages for the loss of a policy that samples tokens (ERA Eq. 16-18).

    If a token did better than expected and its response's entropy is below ``low``, the loss sees logits multiplied by ``k``
    and the advantage divided by ``k``; above ``high``, the other way round. Nothing else changes, and sampling uses the
    original logits. At equal logits, the gradient of ``log softmax(k z)[token] * advantage / k`` is the original loss's with
    ``softmax(k z)`` in place of ``softmax(z)``. Averaged over the policy's own tokens, it lowers the likely logits and
    raises the entropy. So this is feedback during training, not a bound on what the network can express.

    Args:
      logits: ``[..., t, n]`` of the policy, for each sampled token.
      advantages: ``[..., t]`` of the sampled tokens.
      h_resp: ``[...]`` `response_entropy` of the policy that sampled, nats.
      mask: ``[..., t]`` True for the response's tokens; the others are returned as they are.
      low: omega_low, nats.
      high: omega_high, nats.
      k: factor on the logits, above 1.

    Returns:
      ``[..., t, n]`` logits and ``[..., t]`` advantages.
    """
    scale = jnp.where(h_resp < low, k, jnp.where(h_resp > high, 1 / k, 1.0))[..., None]
    scale = jnp.where(mask & (advantages > 0), scale, 1.0)
    return logits * scale[..., None], advantages / scale


def check_token_era(low: float, high: float, k: float) -> None:
    """Checks the constants of `token_era`.

    Raises:
      ValueError: ``0 <= low < high`` or ``k > 1`` does not hold.
    """
    if not 0 <= low < high:
        raise ValueError(f"the bounds of the response entropy must be increasing from 0, not {low} and {high} nats")
    if not k > 1:
        raise ValueError(f"k must be above 1, not {k}: it makes the logits of the loss sharper")

"""The hyperbolic tangent of a Gaussian variable."""

import jax
import jax.numpy as jnp

from mjx_tecrl.distributions import normal


def log_prob(z: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """Log-density ``[...]`` of ``tanh(mean + exp(log_std) z)`` given the standard normal draw ``z`` ``[..., d]``.

    It is computed from ``z``. ``(u - mean) / std`` would lose all digits at small ``std``, and so would its gradient.
    """
    u = mean + jnp.exp(log_std) * z
    log_jacobian = 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))
    return jnp.sum(normal.log_prob(z, log_std) - log_jacobian, axis=-1)

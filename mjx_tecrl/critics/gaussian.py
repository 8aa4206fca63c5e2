"""The Gaussian distributional critic of DSAC-T (arXiv 2310.05858), and of DSAC before it (arXiv 2001.02811)."""

from typing import Any

import jax
import jax.numpy as jnp

from mjx_tecrl.critics.base import Critic
from mjx_tecrl.critics.ensemble import action_network
from mjx_tecrl.networks import Architecture
from mjx_tecrl.types import Batch, Metrics, Params, Spec


def gaussian_critic_loss(
    mean: jax.Array,
    std: jax.Array,
    mean_target: jax.Array,
    sample_target: jax.Array,
    std_average: jax.Array,
    batch: Batch,
    zeta: float = 3.0,
    eps: float = 0.1,
    weighted: bool = True,
) -> jax.Array:
    """The critic loss of DSAC-T. Only its gradient has a meaning.

    The expected value follows the mean target (the "Q" target). The spread follows the sampled target, clipped to ``zeta``
    running-average standard deviations around the mean. The factor ``std_average**2`` makes the step independent of the
    reward's scale (arXiv 2310.05858). It is the square of the average, as in the authors' code, not the average of the
    square.

    Args:
      mean: ``[members, batch]`` predicted means.
      std: ``[members, batch]`` predicted standard deviations.
      mean_target: ``[batch]`` y_q.
      sample_target: ``[batch]`` y_z.
      std_average: ``[members]`` running averages of the mean ``std``.
      batch: supplies the weights.
      zeta: clip bound in averages of the standard deviation.
      eps: added to the weight and to the denominators.
      weighted: multiply by ``std_average**2 + eps``, which DSAC does not.

    Returns:
      ``[]`` sum over the members.
    """
    average = std_average[:, None]
    fixed_mean, fixed_std = jax.lax.stop_gradient((mean, std))
    bound = zeta * average
    clipped_target = fixed_mean + jnp.clip(sample_target - fixed_mean, -bound, bound)
    slope_mean = (mean_target - fixed_mean) / (fixed_std**2 + eps)
    slope_std = ((fixed_mean - clipped_target) ** 2 - fixed_std**2) / (fixed_std**3 + eps)
    slope_mean, slope_std = jax.lax.stop_gradient((slope_mean, slope_std))
    weight = std_average**2 + eps if weighted else jnp.ones_like(std_average)
    return -(weight * batch.mean(slope_mean * mean + slope_std * std)).sum()


def gaussian_critic(
    spec: Spec,
    network: Architecture,
    members: int = 2,
    tau_b: float = 0.005,
    zeta: float = 3.0,
    eps: float = 0.1,
    refined: bool = True,
) -> Critic:
    """Independent critics, each a network with two outputs: the mean, and std = softplus(raw) without a floor.

    Both targets, the mean and the sample, are those of the member with the smallest mean.

    Args:
      spec: sizes.
      network: what each critic is.
      members: number of critics.
      tau_b: step of the running average of the standard deviation; 1 for the batch's own average.
      zeta: clip bound of the sampled target, in averages of the standard deviation.
      eps: see `gaussian_critic_loss`.
      refined: DSAC-T's loss: the mean follows the expected target, and the step is scaled. Without it DSAC's: mean and
        spread both follow the sampled target, and the step is not scaled.

    Raises:
      ValueError: no members.
    """
    networks = action_network(spec, network, 2, members)

    def parameters(output: jax.Array) -> tuple[jax.Array, jax.Array]:
        return output[..., 0], jax.nn.softplus(output[..., 1])

    def init_aux() -> jax.Array:
        # NaN until the first batch sets the averages. The dtype is given, because a weak type would change with the first
        # update, and every program would be compiled a second time.
        return jnp.full((members,), jnp.nan, jnp.float32)

    def loss(
        params: Params,
        target_params: Params,
        aux: jax.Array,
        batch: Batch,
        next_action: jax.Array,
        next_bonus: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array, tuple[Any, Any, Metrics]]:
        output, next_output, statistics = networks.both_ends(params, target_params, batch, next_action)
        next_mean, next_std = parameters(next_output)
        z = jnp.clip(jax.random.normal(key, next_mean.shape), -3, 3)
        lowest = jnp.argmin(next_mean, axis=0, keepdims=True)
        next_mean, next_sample = (jnp.take_along_axis(x, lowest, axis=0)[0] for x in (next_mean, next_mean + next_std * z))
        mean_target = batch.reward + batch.discount * ((next_mean if refined else next_sample) + next_bonus)
        sample_target = batch.reward + batch.discount * (next_sample + next_bonus)

        mean, std = parameters(output)
        batch_std = jax.lax.stop_gradient(batch.mean(std))
        average = jnp.where(jnp.isnan(aux), batch_std, (1 - tau_b) * aux + tau_b * batch_std)
        value = gaussian_critic_loss(mean, std, mean_target, sample_target, average, batch, zeta, eps, refined)
        metrics = {
            "q_mean": batch.mean(mean).mean(),
            "q_std": batch_std.mean(),
            "td_error": batch.mean(jnp.abs(mean - mean_target)).mean(),
        }
        return value, (average, statistics, metrics)

    def value(params: Params, obs: jax.Array, action: jax.Array) -> jax.Array:
        return parameters(networks.apply(params, obs, action))[0].min(0)

    return Critic(networks.init, init_aux, loss, value, networks.settle)

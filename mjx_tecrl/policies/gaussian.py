"""The policy head of PPO and TRPO: a diagonal Gaussian, not squashed, whose spread does not depend on the state."""

import jax
import jax.numpy as jnp

from mjx_tecrl.distributions import normal
from mjx_tecrl.networks import Architecture, Network
from mjx_tecrl.policies.base import ActionSample, Evaluation, Head, Policy, make_policy
from mjx_tecrl.types import Params, Spec

Output = tuple[jax.Array, jax.Array]
"""Mean and log standard deviation, both ``[batch, action_size]``."""


def gaussian(spec: Spec, network: Architecture, init_log_std: float = 0.0) -> Policy:
    """A network for the mean, and one learned log standard deviation per action dimension.

    Samples lie anywhere; whoever steps a world clips them to [-1, 1]. The deterministic action is the clipped mean.

    Args:
      spec: sizes.
      network: what computes the mean.
      init_log_std: initial log standard deviation.
    """

    def sample(output: Output, key: jax.Array) -> ActionSample:
        mean, log_std = output
        z = jax.random.normal(key, mean.shape)
        std = jnp.exp(log_std)
        return ActionSample(mean + std * z, normal.log_prob(z, log_std).sum(-1), std)

    def mode(output: Output) -> jax.Array:
        return jnp.clip(output[0], -1, 1)

    def evaluate(output: Output, action: jax.Array) -> Evaluation:
        mean, log_std = output
        std = jnp.exp(log_std)
        log_prob = normal.log_prob((action - mean) / std, log_std).sum(-1)
        return Evaluation(log_prob, (log_std + normal.ENTROPY).sum(-1), std)

    def kl(old: Output, output: Output) -> jax.Array:
        return normal.kl(*old, *output).sum(-1)

    mean_network = network(spec.obs_size, spec.action_size)
    with_spread = _with_log_std(mean_network, spec.action_size, init_log_std)
    return make_policy(spec, with_spread, Head(sample, mode, evaluate=evaluate, kl=kl))


def _with_log_std(network: Network, size: int, init_log_std: float) -> Network:
    """The network with one more parameter, the log standard deviation: its output is an `Output`."""

    def init(key: jax.Array) -> Params:
        return {"mean": network.init(key), "log_std": jnp.full(size, init_log_std, jnp.float32)}

    def with_spread(params: Params, mean: jax.Array) -> Output:
        return mean, jnp.broadcast_to(params["log_std"], mean.shape)

    def apply(params: Params, x: jax.Array) -> Output:
        return with_spread(params, network.apply(params["mean"], x))

    def apply_training(params: Params, x: jax.Array, weight: jax.Array) -> tuple[Output, Params]:
        mean, statistics = network.apply_training(params["mean"], x, weight)
        return with_spread(params, mean), statistics

    def settle(params: Params, statistics: Params) -> Params:
        return params | {"mean": network.settle(params["mean"], statistics)}

    return Network(init, apply, apply_training, settle, network.batch_statistics)

"""What a network is to the heads and critics that run on it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mjx_tecrl.types import Params


class Network(NamedTuple):
    """A network with fixed widths of input and output, as pure functions of explicit parameters.

    A network may normalise by statistics of the batch. It then has two modes. When it acts, it uses running statistics,
    which stand among its parameters. In a loss, it uses those of the batch, and the running ones take a step towards them.
    A loss calls `first_end` or `both_ends`, which evaluate any network in the way it needs.

    Attributes:
      init: ``key -> params``.
      apply: ``(params, x [batch, input_size]) -> [batch, output_size]``, by running statistics.
      apply_training: ``(params, x, weight [batch]) -> (output, statistics)``, by statistics of the rows of weight 1. A
        network without batch statistics returns what ``apply`` returns, and ``()``.
      settle: ``(params, statistics) -> params``, applied after each gradient step: it keeps the parameters where they belong
        and takes over the new running statistics.
      batch_statistics: whether the network normalises by statistics of the batch.
      output_layer: name of the linear output layer in ``params["params"]``; None if its weights cannot be rescaled freely.
    """

    init: Callable[[jax.Array], Params]
    apply: Callable[[Params, jax.Array], Any]
    apply_training: Callable[[Params, jax.Array, jax.Array], tuple[Any, Params]]
    settle: Callable[[Params, Params], Params]
    batch_statistics: bool
    output_layer: str | None = None


Architecture = Callable[[int, int], Network]
"""``(input_size, output_size) -> Network``: a network whose widths are yet to be chosen by a head or a critic."""


def ensemble(network: Network, members: int) -> Network:
    """Independent copies of a network on the same input, as one network.

    Its parameters and statistics are those of the members, stacked along a leading axis; its output is
    ``[members, batch, output_size]``, computed by one batched product per layer.
    """

    def init(key: jax.Array) -> Params:
        return jax.vmap(network.init)(jax.random.split(key, members))

    def apply(params: Params, x: jax.Array) -> jax.Array:
        return jax.vmap(lambda p: network.apply(p, x))(params)

    def apply_training(params: Params, x: jax.Array, weight: jax.Array) -> tuple[jax.Array, Params]:
        return jax.vmap(lambda p: network.apply_training(p, x, weight))(params)

    return Network(init, apply, apply_training, jax.vmap(network.settle), network.batch_statistics)


def first_end(network: Network, params: Params, start: jax.Array, end: jax.Array, weight: jax.Array) -> tuple[Any, Params]:
    """The network's output at the first ends of transitions, as a loss sees it.

    A network with batch statistics sees both ends of the transitions in one batch, because a critic's target asks it for
    actions at the second ends.

    Args:
      network: any network.
      params: its parameters.
      start: ``[batch, input_size]`` the transitions' first ends.
      end: ``[batch, input_size]`` their second ends.
      weight: ``[batch]`` 1 for a valid row, 0 for any other row.

    Returns:
      The output at ``start``, and the statistics for ``network.settle``.
    """
    if not network.batch_statistics:
        return network.apply(params, start), ()
    output, statistics = network.apply_training(params, jnp.concatenate([start, end]), jnp.tile(weight, 2))
    return jax.tree.map(lambda x: x[..., : len(start), :], output), statistics


def both_ends(
    network: Network, params: Params, target_params: Params, start: jax.Array, end: jax.Array, weight: jax.Array
) -> tuple[jax.Array, jax.Array, Params]:
    """What a critic's loss compares: the output at the first ends of transitions, the target network's at the second ends.

    Batch normalisation in a critic needs one set of statistics for ``(s, a)`` and ``(s', a')`` (CrossQ, arXiv 1902.05605).
    A network with batch statistics therefore sees both ends of the transitions in one batch, and so does its target network
    (FlashSAC, arXiv 2604.04539).

    Args:
      network: any network.
      params: its parameters.
      target_params: those of the target network.
      start: ``[batch, input_size]`` the transitions' first ends.
      end: ``[batch, input_size]`` their second ends.
      weight: ``[batch]`` 1 for a valid row, 0 for any other row.

    Returns:
      The output at ``start``, the target network's output at ``end``, and the statistics for ``network.settle``.
    """
    if not network.batch_statistics:
        return network.apply(params, start), network.apply(target_params, end), ()
    both, weights = jnp.concatenate([start, end]), jnp.tile(weight, 2)
    output, statistics = network.apply_training(params, both, weights)
    target_output, _ = network.apply_training(target_params, both, weights)
    return output[..., : len(start), :], target_output[..., len(start) :, :], statistics

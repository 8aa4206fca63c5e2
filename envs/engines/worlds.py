"""Functions of all worlds at once, for engines that have to know how many worlds are stepped together."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def over_worlds(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turns a ``function`` of all worlds into a function of one world.

    Under ``vmap``, however deeply nested, ``function`` is then called once with all worlds together.

    Args:
      function: takes pytrees of arrays ``[worlds, ...]`` and returns a pytree of arrays ``[worlds, ...]``. The result of a
        world may depend on the arguments of that world only.
    """

    @jax.custom_batching.custom_vmap
    def one_world(*args: Any) -> Any:
        return jax.tree.map(lambda x: x[0], function(*jax.tree.map(lambda x: jnp.asarray(x)[None], args)))

    @one_world.def_vmap
    def rule(size: int, in_batched: Any, *args: Any) -> tuple[Any, Any]:
        def spread(x: jax.Array, batched: bool) -> jax.Array:
            return x if batched else jnp.broadcast_to(x, (size, *jnp.shape(x)))

        def merged(*args: Any) -> Any:  # of [worlds, size, ...]
            out = function(*jax.tree.map(lambda x: x.reshape(x.shape[0] * size, *x.shape[2:]), args))
            return jax.tree.map(lambda x: x.reshape(x.shape[0] // size, size, *x.shape[1:]), out)

        out = over_worlds(merged)(*jax.tree.map(spread, args, tuple(in_batched)))
        return out, jax.tree.map(lambda _: True, out)

    return one_world


def in_groups(function: Callable[..., Any], size: int, *args: Any) -> Any:
    """Computes ``vmap`` of ``function`` over the leading axis of ``args`` in groups of at most ``size`` worlds."""
    worlds = len(jax.tree.leaves(args)[0])
    groups = -(-worlds // size)
    if groups == 1:
        return jax.vmap(function)(*args)
    size = -(-worlds // groups)
    index = jnp.minimum(jnp.arange(groups * size), worlds - 1).reshape(groups, size)  # the last world fills the last group
    out = jax.lax.map(lambda args: jax.vmap(function)(*args), jax.tree.map(lambda x: x[index], args))
    return jax.tree.map(lambda x: x.reshape(groups * size, *x.shape[2:])[:worlds], out)

"""Small arrays of a state, kept in one vector while many steps change them all.

A GPU has to be told of each array by itself, and a step of Adam on 20 biases takes it as long as one on 20 matrices.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

SMALL = 1024
"""Arrays of at most so many numbers are packed. A larger one feeds a matrix product, for which a GPU would have to copy it
out of the vector."""


def pack_small(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Puts the small arrays of floats of a pytree into one vector for each of their types, and leaves everything else.

    Counters stay as they are: where several seeds are trained side by side, some are shared by all of them.

    Returns:
      The packed pytree, and the function that unpacks it.
    """
    leaves, structure = jax.tree.flatten(tree)
    packable = [x.size <= SMALL and jnp.issubdtype(x.dtype, jnp.floating) for x in leaves]
    members: dict[str, list[int]] = {}
    for i, x in enumerate(leaves):
        if packable[i]:
            members.setdefault(str(x.dtype), []).append(i)
    shapes = [x.shape for x in leaves]

    def unpack(packed: tuple[dict[str, jax.Array], list[jax.Array]]) -> Any:
        vectors, large = packed
        parts = dict(zip((i for i in range(len(shapes)) if not packable[i]), large, strict=True))
        for dtype, numbers in members.items():
            at = 0
            for i in numbers:
                size = math.prod(shapes[i])
                parts[i] = jax.lax.slice(vectors[dtype], (at,), (at + size,)).reshape(shapes[i])
                at += size
        return jax.tree.unflatten(structure, [parts[i] for i in range(len(shapes))])

    vectors = {dtype: jnp.concatenate([leaves[i].ravel() for i in numbers]) for dtype, numbers in members.items()}
    return (vectors, [x for x, small in zip(leaves, packable, strict=True) if not small]), unpack

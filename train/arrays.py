"""Turns trees of arrays into dictionaries of named arrays, which can be written to files, and back."""

from typing import Any

import jax
import jax.numpy as jnp


def to_arrays(tree: Any) -> dict[str, Any]:
    """The leaves of a tree (arrays or ``jax.ShapeDtypeStruct``), by their path, as in ``envs.worlds.obs``.

    PRNG keys become their data. Empty arrays are left out.
    """

    def data(x: Any) -> Any:
        return jax.eval_shape(jax.random.key_data, x) if isinstance(x, jax.ShapeDtypeStruct) else jax.random.key_data(x)

    return {name: data(x) if is_key(x) else x for name, x in _named(tree) if x.size}


def from_arrays(arrays: dict[str, Any], like: Any) -> Any:
    """The tree that `to_arrays` took apart. An array that is missing becomes zeros."""
    leaves = []
    for name, x in _named(like):
        array = arrays.get(name)
        if array is None:
            array = jnp.zeros(x.shape, x.dtype)
        leaves.append(jax.random.wrap_key_data(jnp.asarray(array)) if is_key(x) else array)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def describe(array: Any) -> str:
    """The type and shape of an array or of a ``jax.ShapeDtypeStruct``, as in ``float32[3, 4]``."""
    return f"{array.dtype}{list(array.shape)}"


def misfit(there: dict[str, str], wanted: dict[str, str]) -> tuple[str, str, str] | None:
    """Compares two sets of arrays, given as descriptions by name.

    Returns:
      The first name under which they differ, and both descriptions, which are "nothing" where the name is missing; None if
      the two agree.
    """
    for name in sorted({*there, *wanted}):
        if there.get(name) != wanted.get(name):
            return name, there.get(name, "nothing"), wanted.get(name, "nothing")
    return None


def _named(tree: Any) -> list[tuple[str, Any]]:
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(jax.tree_util.keystr(path, simple=True, separator="."), x) for path, x in paths]


def is_key(x: Any) -> bool:
    """Whether this is an array of PRNG keys, or the shape of one."""
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)

"""Checks of shapes and dtypes while a program is traced, so that no array is broadcast or cast unnoticed."""

from typing import Any

import jax
import numpy as np


def check_array(name: str, array: Any, shape: tuple[Any, ...], dtype: Any = np.float32) -> None:
    """Refuses an array that is not what is expected.

    Args:
      name: what to call it in an error.
      array: what came.
      shape: the expected sizes; None stands for any size, and ``...`` in the first place for any leading axes.
      dtype: the expected dtype.

    Raises:
      TypeError: no array, or one of another dtype.
      ValueError: an array of another shape.
    """
    if not (hasattr(array, "shape") and hasattr(array, "dtype")):
        raise TypeError(f"{name} must be an array of {np.dtype(dtype)}, not {type(array).__name__}")
    if array.dtype != np.dtype(dtype):
        raise TypeError(f"{name} must hold {np.dtype(dtype)}, not {array.dtype}")
    leading = shape[:1] == (...,)
    sizes = shape[1:] if leading else shape
    found = array.shape[max(len(array.shape) - len(sizes), 0) :] if leading else array.shape
    if len(found) != len(sizes) or any(n is not None and n != m for n, m in zip(sizes, found, strict=True)):
        expected = ", ".join("..." if n is ... else "any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have the shape [{expected}], not {list(array.shape)}")


def check_like(name: str, tree: Any, expected: Any) -> None:
    """Refuses a pytree whose fields, shapes or dtypes are not those of another one.

    Args:
      name: what to call it in an error.
      tree: what came.
      expected: a pytree of arrays, or of ``jax.ShapeDtypeStruct``.

    Raises:
      TypeError: another dtype somewhere.
      ValueError: other fields, or another shape somewhere.
    """
    found, wanted = (
        {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(x)} for x in (tree, expected)
    )
    for missing in sorted(wanted.keys() - found.keys()):
        raise ValueError(f"{name} lacks the field {missing.strip('.')}")
    for more in sorted(found.keys() - wanted.keys()):
        raise ValueError(f"{name} has a field {more.strip('.')}, which nothing holds")
    for path, leaf in wanted.items():
        check_array(name + path, found[path], leaf.shape, leaf.dtype)

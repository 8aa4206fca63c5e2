"""Checks of shapes and dtypes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl.checks import check_array, check_like


@pytest.mark.parametrize(
    ("array", "shape", "dtype"),
    [
        (np.zeros((3, 2), np.float32), (3, 2), np.float32),
        (np.zeros((3, 2), np.float32), (None, 2), np.float32),
        (np.zeros((5, 3, 2), np.float32), (..., 3, 2), np.float32),
        (np.zeros(2, np.float32), (..., 2), np.float32),
        (np.zeros((), np.int32), (), np.int32),
        (jax.ShapeDtypeStruct((3,), jnp.bool_), (3,), bool),
    ],
)
def test_what_is_expected_passes(array: Any, shape: tuple[Any, ...], dtype: Any) -> None:
    check_array("x", array, shape, dtype)


@pytest.mark.parametrize(
    ("array", "shape", "error", "message"),
    [
        (np.zeros((3, 2), np.float32), (3,), ValueError, r"x must have the shape \[3\], not \[3, 2\]"),
        (np.zeros((1, 2), np.float32), (3, 2), ValueError, r"x must have the shape \[3, 2\], not \[1, 2\]"),
        (np.zeros((), np.float32), (..., 2), ValueError, r"x must have the shape \[\.\.\., 2\], not \[\]"),
        (np.zeros(3), (3,), TypeError, "x must hold float32, not float64"),
        (np.zeros(3, int), (3,), TypeError, "x must hold float32, not int64"),
        (jax.random.key(0), (), TypeError, "x must hold float32, not key"),
        (1.0, (), TypeError, "x must be an array of float32, not float"),
    ],
)
def test_what_is_not_expected_is_refused(array: Any, shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_array("x", array, shape)


def test_arrays_are_checked_while_a_program_is_traced() -> None:
    with pytest.raises(ValueError, match=r"x must have the shape \[3\], not \[2\]"):
        jax.eval_shape(lambda x: check_array("x", x, (3,)), jnp.zeros(2))


def test_trees_are_compared_field_by_field() -> None:
    tree = {"a": jnp.zeros(3), "b": (jnp.zeros(2, bool),)}
    check_like("it", tree, jax.eval_shape(lambda: tree))
    with pytest.raises(ValueError, match=r"it lacks the field \['a'\]"):
        check_like("it", {"b": tree["b"]}, tree)
    with pytest.raises(ValueError, match=r"it has a field \['c'\], which nothing holds"):
        check_like("it", tree | {"c": jnp.zeros(1)}, tree)
    with pytest.raises(TypeError, match=r"it\['b'\]\[0\] must hold bool, not float32"):
        check_like("it", tree | {"b": (jnp.zeros(2),)}, tree)

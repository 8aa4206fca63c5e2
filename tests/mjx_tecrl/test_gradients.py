"""A gradient without a meaning is NaN."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl.gradients import _is_finite_at_once, all_finite, is_finite_step, loss_and_gradient

PARAMS = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(3.0)}


def test_a_healthy_gradient_is_jax_s_own() -> None:
    def loss(params: dict[str, jax.Array], scale: float) -> jax.Array:
        return scale * (params["a"] ** 2).sum() * params["b"]

    value, gradient = jax.jit(loss_and_gradient(loss))(PARAMS, 2.0)
    expected_value, expected = jax.value_and_grad(loss)(PARAMS, 2.0)
    assert value == expected_value
    jax.tree.map(np.testing.assert_array_equal, gradient, expected)
    (value, aux), gradient = loss_and_gradient(lambda p: (loss(p, 1.0), "more"), has_aux=True)(PARAMS)
    assert (float(value), aux) == (15.0, "more")
    assert gradient["b"] == 5


@pytest.mark.parametrize("poison", [jnp.nan, jnp.inf, -jnp.inf])
def test_a_loss_that_is_not_finite_has_no_gradient(poison: float) -> None:
    # The poison is a constant: JAX's own gradient would be finite.
    _, gradient = loss_and_gradient(lambda p: (p["a"] ** 2).sum() + p["b"] + poison)(PARAMS)
    assert all(np.isnan(x).all() for x in jax.tree.leaves(gradient))


@pytest.mark.parametrize("slope", [1e30, jnp.inf, jnp.nan])
def test_nor_has_one_whose_norm_is_not_finite(slope: float) -> None:
    _, gradient = loss_and_gradient(lambda p: p["a"].sum() + slope * p["b"])(PARAMS)
    assert all(np.isnan(x).all() for x in jax.tree.leaves(gradient))


def test_finite_means_every_number() -> None:
    assert all_finite(PARAMS)
    for poison in (jnp.nan, jnp.inf):
        assert not all_finite(PARAMS | {"b": jnp.array(poison)})


@pytest.mark.parametrize("is_sound", [is_finite_step, _is_finite_at_once], ids=["here", "on a GPU"])
def test_sound_means_a_finite_loss_a_finite_norm_and_nothing_else_amiss(is_sound: Callable[..., jax.Array]) -> None:
    one = jnp.ones(())
    assert is_sound(one, PARAMS, ())
    assert is_sound(one, PARAMS, (PARAMS, one))
    assert is_sound(one, PARAMS, {"c": jnp.array([1e30])})  # its norm is no matter
    assert not is_sound(jnp.inf * one, PARAMS, ())
    assert not is_sound(one, PARAMS | {"b": jnp.array(1e30)}, ())
    assert not is_sound(one, PARAMS, {"c": jnp.array([0.0, jnp.nan])})


def test_a_gpu_makes_one_reduction_of_it_and_a_cpu_no_copy() -> None:
    traced = jax.jit(is_finite_step).trace(jnp.ones(()), PARAMS, PARAMS)
    texts = {platform: traced.lower(lowering_platforms=(platform,)).as_text() for platform in ("cpu", "cuda")}
    assert texts["cuda"].count("stablehlo.reduce(") == 1
    assert "stablehlo.concatenate" in texts["cuda"]
    assert texts["cpu"].count("stablehlo.reduce(") > 3

"""Functions of all worlds at once, under any nesting of ``vmap``, and in groups."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.engines.worlds import in_groups, over_worlds


def recorded(seen: list[int]) -> Any:
    def function(x: jax.Array, scale: dict[str, jax.Array]) -> dict[str, jax.Array]:
        seen.append(x.shape[0])
        return {"product": x * scale["of"][:, None], "empty": x[:, :0]}

    return over_worlds(function)


def test_one_call_gets_the_worlds_of_all_nested_vmaps() -> None:
    seen: list[int] = []
    x = jnp.arange(24.0).reshape(2, 3, 4)
    scale = jnp.arange(3.0)
    nested = jax.vmap(jax.vmap(recorded(seen), in_axes=(0, {"of": 0})), in_axes=(0, {"of": None}))
    out = jax.jit(nested)(x, {"of": scale})
    assert seen[-1] == 6  # the last time it was traced
    np.testing.assert_array_equal(out["product"], x * scale[None, :, None])
    assert out["empty"].shape == (2, 3, 0)


def test_without_vmap_there_is_one_world() -> None:
    seen: list[int] = []
    out = recorded(seen)(jnp.arange(4.0), {"of": jnp.float32(2)})
    assert seen[-1] == 1
    np.testing.assert_array_equal(out["product"], 2 * np.arange(4.0))


@pytest.mark.parametrize(("worlds", "size", "at_once"), [(6, 6, 6), (7, 3, 3), (8, 3, 3), (5, 4, 3), (4, 1, 1)])
def test_groups_are_no_larger_than_said_and_give_what_vmap_gives(worlds: int, size: int, at_once: int) -> None:
    seen: list[int] = []

    def function(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        out = recorded(seen)(x, {"of": y})
        return out["product"], y + 1

    x, y = jnp.arange(4.0 * worlds).reshape(worlds, 4), jnp.arange(float(worlds))
    product, more = jax.jit(lambda x, y: in_groups(function, size, x, y))(x, y)
    assert seen[-1] == at_once
    np.testing.assert_array_equal(product, x * y[:, None])
    np.testing.assert_array_equal(more, y + 1)


def equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from equations(inner)


def factorisations(worlds: int) -> tuple[int, list[int]]:
    """Of a step of so many half-cheetahs on mjx: the size of a matrix to factorise, and how many there are in each batch."""
    task = envs.make("half_cheetah", physics="mjx")
    state = jax.eval_shape(jax.vmap(task.reset), jax.eval_shape(lambda: jax.random.split(jax.random.key(0), worlds)))
    jaxpr = jax.make_jaxpr(jax.vmap(task.step))(state, jax.ShapeDtypeStruct((worlds, 6), jnp.float32))
    shapes = [e.invars[0].aval.shape for e in equations(jaxpr.jaxpr) if e.primitive.name == "cholesky"]
    assert {shape[-1] for shape in shapes} == {task.model.nv}
    return task.model.nv, [int(np.prod(shape[:-2])) for shape in shapes]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="about CPUs")
def test_no_batch_of_factorisations_is_large_enough_for_jaxlib_to_split() -> None:
    """Otherwise two of them can wait for each other for ever; in which runs they do is a matter of chance."""
    n, batches = factorisations(4096)
    assert batches
    assert max(batches) * (n**3 // 3) <= 200_000


def test_a_gpu_makes_all_factorisations_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert set(factorisations(4096)[1]) == {4096}

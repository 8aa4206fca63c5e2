"""`mjx_tecrl.packing`: small arrays in one vector, and back."""

import jax
import jax.numpy as jnp
import numpy as np

from mjx_tecrl.packing import SMALL, pack_small

TREE = {
    "bias": jnp.arange(6.0).reshape(2, 3),
    "count": jnp.int32(2**31 - 1),
    "keys": jax.random.split(jax.random.key(0), 2),
    "large": jnp.ones((SMALL + 1,)),
    "none": (),
    "scale": jnp.float32(np.inf),
    "steps": jnp.arange(3, dtype=jnp.int32),
}


def test_what_was_packed_comes_back_as_it_was() -> None:
    packed, unpack = pack_small(TREE)
    found = unpack(packed)
    assert jax.tree.structure(found) == jax.tree.structure(TREE)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(TREE), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        assert (x == y).all()


def test_small_floats_are_one_vector_and_everything_else_stays() -> None:
    (vectors, others), _ = pack_small(TREE)
    assert {dtype: x.shape for dtype, x in vectors.items()} == {"float32": (7,)}
    assert [x.shape for x in others] == [(), (2,), (SMALL + 1,), (3,)]


def test_nothing_to_pack_is_no_mistake() -> None:
    packed, unpack = pack_small({"large": TREE["large"]})
    assert packed[0] == {}
    assert unpack(packed)["large"].shape == (SMALL + 1,)

"""The suite ``replay``: the ring alone."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

import envs
from benchmarks.measuring import Row, fastest, fastest_of
from mjx_tecrl.replay import init_replay, insert, sample


def measure(full: bool) -> Iterator[Row]:
    """Inserting a row of 16 worlds (hopper's), and drawing a batch of 256. Neither should depend on the ring's size."""
    worlds, steps = 16, 100
    row = envs.Row(
        obs=jnp.zeros((worlds, 11)),
        action=jnp.zeros((worlds, 3)),
        reward=jnp.zeros(worlds),
        terminated=jnp.zeros(worlds, bool),
        done=jnp.zeros(worlds, bool),
        valid=jnp.ones(worlds, bool),
    )

    @functools.partial(jax.jit, donate_argnums=0)
    def inserts(ring: Any) -> Any:
        return jax.lax.fori_loop(0, steps, lambda _, ring: insert(ring, row), ring)

    @jax.jit
    def samples(ring: Any, key: jax.Array) -> Any:
        def add(total: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
            return total + sum(x.sum() for x in jax.tree.leaves(sample(ring, key, 256, 1, 0.99))), None

        return jax.lax.scan(add, jnp.zeros(()), jax.random.split(key, steps))[0]

    for size in (10_000, 100_000, 1_000_000, 4_000_000) if full else (10_000, 4_000_000):
        ring = jax.block_until_ready(inserts(init_replay(row, size // worlds)))

        def insert_many() -> None:
            nonlocal ring
            ring = jax.block_until_ready(inserts(ring))

        yield Row(f"insert {worlds} of {size:,}", 1e6 * fastest(insert_many)[0] / steps, "µs")
        yield Row(f"sample 256 of {size:,}", 1e6 * fastest_of(samples, ring, jax.random.key(0)) / steps, "µs")

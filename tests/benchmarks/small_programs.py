"""Small programs for a card, each with one fault: ``python -m tests.benchmarks.small_programs NAME FOLDER`` compiles one."""

import json
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks.gpu_program.compile import cards, compile_part
from benchmarks.gpu_program.programs import Compilable
from envs.command import UserError

ROWS, WIDTH = 4096, 64
REPLAY_BYTES = 4 * ROWS * WIDTH


def write(i: jax.Array, ring: jax.Array) -> jax.Array:
    """Writes a row of the ring, as all programs do. So many sums take some kernels, which are a graph."""
    row = ring[i % ROWS]
    for _ in range(6):
        row = jnp.sin(row - row.sum())
    return ring.at[(i + 1) % ROWS].set(row)


def read_after_the_write(i: jax.Array, ring: jax.Array) -> jax.Array:
    """What is read of the ring as it was depends on the ring as it is: both have to be there at once."""
    written = write(i, ring)
    number = jnp.int32(jnp.abs(written[i % ROWS]).sum()) % ROWS
    return written.at[0].set(ring[number])


def call_back(i: jax.Array, ring: jax.Array) -> jax.Array:
    """The host is told something in each turn."""
    jax.debug.callback(lambda x: None, ring[0, 0])
    return write(i, ring)


def search(i: jax.Array, ring: jax.Array) -> jax.Array:
    """Only the numbers say how often a loop runs: the host reads in each turn if there is another. No graph is left."""
    number = jax.lax.while_loop(lambda j: ring[j % ROWS, 0] > 0, lambda j: j + 1, i)
    return ring.at[number % ROWS].set(jnp.sin(ring[i % ROWS]))


def turns(step: Callable[[jax.Array, jax.Array], jax.Array], donated: bool = True) -> Compilable:
    """A program that makes so many turns of a step."""
    shapes = (jax.ShapeDtypeStruct((ROWS, WIDTH), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32))
    return Compilable(lambda ring, times: jax.lax.fori_loop(0, times, step, ring), shapes, donated=donated)


PROGRAMS = {
    "sound": turns(write),
    "not donated": turns(write, donated=False),
    "read after the write": turns(read_after_the_write),
    "callback": turns(call_back),
    "search": turns(search),
}

if __name__ == "__main__":
    try:
        print(json.dumps(compile_part(PROGRAMS[sys.argv[1]], cards("H100"), sys.argv[2])))
    except UserError as error:
        print(json.dumps({"refused": str(error)}))

"""How the suites of ``python -m benchmarks.run`` measure: rows of figures, the fastest of several runs, and the floor."""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

REPEATS = 3
"""How often a measurement is repeated. The fastest run counts, since noise only ever adds time."""


class Row(NamedTuple):
    """One figure.

    Attributes:
      case: what was measured; unique in its suite.
      value: the figure.
      unit: the unit of the figure. If it ends in "/s", more is better.
    """

    case: str
    value: float
    unit: str


def fastest(*actions: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Seconds of the fastest of ``repeats`` runs of each action. They take turns, so that noise falls on all of them."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(repeats):
        for action, measured in zip(actions, times, strict=True):
            started = time.perf_counter()
            action()
            measured.append(time.perf_counter() - started)
    return [min(measured) for measured in times]


def floor(case: str, flops: float, moved: float, peak: float, bandwidth: float, seconds: float) -> Row:
    """The share of the measured time that better programming with the same arithmetic could not save (the roofline).

    Args:
      case: what was measured.
      flops: floating-point operations that it needs.
      moved: bytes that it has to move.
      peak: floating-point operations per second of this machine.
      bandwidth: bytes per second that this machine moves.
      seconds: the time that was measured.
    """
    return Row(f"{case}: floor / time", max(flops / peak, moved / bandwidth) / seconds, "")


def matmul_rate(size: int = 1024) -> float:
    """Floating-point operations per second of a square matrix product in float32."""
    a = jnp.ones((size, size))
    multiply = jax.jit(functools.partial(jnp.matmul, precision="float32"))
    return 2 * size**3 / fastest_of(multiply, a, a)


def memory_rate(size: int = 2**26) -> float:
    """Bytes per second that are read and written when 1 is added, in place, to each number of a large array."""
    add = jax.jit(lambda a: a + 1, donate_argnums=0)
    a = jnp.ones(size)

    def run() -> None:
        nonlocal a
        a = jax.block_until_ready(add(a))

    run()  # compiles
    return 2 * a.nbytes / fastest(run, repeats=10)[0]


def fastest_of(function: Callable[..., jax.Array], *arguments: jax.Array) -> float:
    """Seconds of the fastest run of a compiled function."""
    run = lambda: jax.block_until_ready(function(*arguments))  # noqa: E731
    run()  # compiles
    return fastest(run, repeats=10)[0]

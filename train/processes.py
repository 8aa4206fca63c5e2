"""A run of several processes: which of them writes, and what all of them have to agree on."""

import jax
import numpy as np
from jax.experimental import multihost_utils

PIECE_BYTES = 2**28
"""How much is gathered from the other processes at a time. Every device holds such a piece for a moment."""


def is_main_process() -> bool:
    """Whether this process writes the files and prints, on behalf of all."""
    return jax.process_index() == 0


def largest(value: int) -> int:
    """The largest value that any process has, so that all of them decide alike. Every process has to call this."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.process_allgather(np.asarray(value)).max())


def fetch(x: jax.Array | np.ndarray) -> np.ndarray:
    """A complete array, on the host. If it is spread over several processes, every process has to call this."""
    if isinstance(x, np.ndarray) or x.is_fully_addressable:
        return np.asarray(x)
    if x.is_fully_replicated:
        return np.asarray(x.addressable_data(0))
    rows = max(1, PIECE_BYTES // (x.nbytes // len(x)))
    pieces = [multihost_utils.process_allgather(x[row : row + rows], tiled=True) for row in range(0, len(x), rows)]
    return np.concatenate(pieces)

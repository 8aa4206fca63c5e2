"""Copies of arrays on the host, from which a checkpoint is written while training overwrites the originals."""

from typing import Any

import jax
import numpy as np

from train.processes import fetch


class HostCopies:
    """Copies arrays to the host, again and again into the same memory.

    It is the allocation of fresh memory that takes long, not the copying (docs/reliability.md). So the copies of one
    checkpoint overwrite those of the checkpoint before, which must have been written by then.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[str, str], np.ndarray] = {}

    def copy(self, part: str, arrays: dict[str, Any]) -> dict[str, np.ndarray]:
        """Copies the named arrays of a part. They are valid until the next call for this part. All processes call this."""
        copies = {}
        for name, x in arrays.items():
            copies[name] = fetch(x)
            if isinstance(x, jax.Array) and _on_host(x):  # otherwise `fetch` has copied it already
                if (part, name) not in self._memory:
                    self._memory[part, name] = np.empty_like(copies[name])
                np.copyto(self._memory[part, name], copies[name])
                copies[name] = self._memory[part, name]
        return copies


def _on_host(array: jax.Array) -> bool:
    """Whether NumPy sees the memory of the array itself, which training is about to overwrite."""
    return all(device.platform == "cpu" for device in array.devices())

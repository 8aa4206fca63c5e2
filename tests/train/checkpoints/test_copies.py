"""Copies on the host: training may overwrite what was copied, and no array is copied twice."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.checkpoints.copies import HostCopies


def test_a_copy_on_a_cpu_does_not_share_the_arrays_memory_and_the_next_one_takes_its_place() -> None:
    copies, x = HostCopies(), jnp.arange(64.0)
    first = copies.copy("part", {"x": x})["x"]
    assert not np.shares_memory(first, np.asarray(x))
    assert copies.copy("other", {"x": x + 1})["x"] is not first
    assert copies.copy("part", {"x": x + 2})["x"] is first
    np.testing.assert_array_equal(first, np.arange(64) + 2)


def test_what_comes_from_a_gpu_is_a_copy_already(monkeypatch: pytest.MonkeyPatch) -> None:
    x = jnp.arange(64.0)
    fetched = np.asarray(x)
    monkeypatch.setattr(type(x), "devices", lambda self: [SimpleNamespace(platform="gpu")])
    monkeypatch.setattr("train.checkpoints.copies.fetch", lambda x: fetched)
    assert isinstance(x, jax.Array)
    assert HostCopies().copy("part", {"x": x})["x"] is fetched

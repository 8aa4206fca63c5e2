"""States of real bodies, shared by the tests."""

import functools
import pickle
from collections.abc import Callable

import jax
import numpy as np
import pytest

import envs
from benchmarks.states import state_sets


@pytest.fixture(scope="session")
def states(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], tuple[envs.State, jax.Array]]:
    """210 states of a task by name, with an action for each: random, energetic, and after falls, 70 of each.

    All versions of a task are given the same. What one process of several has drawn, the others read.
    """
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if hasattr(request.config, "workerinput") else own

    @functools.cache
    def draw(name: str) -> tuple[envs.State, jax.Array]:
        file = folder / f"states-{name.replace('/', '-')}"
        if not file.exists():
            sets = state_sets(envs.make(name, physics="native"), 70, seed=0).values()
            drawn = jax.tree.map(lambda *x: np.concatenate(x), *sets)
            written = own / f"{file.name}-unfinished"
            written.write_bytes(pickle.dumps(drawn))
            written.rename(file)
        return pickle.loads(file.read_bytes())

    return lambda name: draw(name.split("-v")[0])

"""States of real bodies, shared by the tests."""

import functools
from collections.abc import Callable

import jax
import numpy as np
import pytest

import envs
from benchmarks.states import state_sets


@pytest.fixture(scope="session")
def states() -> Callable[[str], tuple[envs.State, jax.Array]]:
    """210 states of a task by name, with an action for each: random, energetic, and after falls, 70 of each.

    All versions of a task are given the same.
    """

    @functools.cache
    def draw(name: str) -> tuple[envs.State, jax.Array]:
        sets = state_sets(envs.make(name, physics="native"), 70, seed=0).values()
        return jax.tree.map(lambda *x: np.concatenate(x), *sets)

    return lambda name: draw(name.split("-v")[0])

"""Several devices, of one process or of many. They share every array with an axis of worlds, and each holds all others."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from envs.command import UserError
from train.arrays import is_key
from train.axes import Axes

WORLDS = "worlds"
"""The mesh's only axis."""


def make_mesh(devices: int) -> Mesh | None:
    """The first ``devices`` devices. None for a single one: everything is then where JAX puts it.

    Raises:
      UserError: there are fewer devices, or a run of several processes does not use all of them.
    """
    there = jax.device_count()
    if devices > there or (jax.process_count() > 1 and devices != there):
        raise UserError(f"--devices is {devices}, and there are {there} in {jax.process_count()} process(es).")
    return Mesh(np.asarray(jax.devices()[:devices]), (WORLDS,)) if devices > 1 else None


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def sharded(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """The array is cut into equal parts along ``axis``, one for each device."""
    return NamedSharding(mesh, PartitionSpec(*(None,) * axis, WORLDS))


def state_shardings(mesh: Mesh, axes: Any, several_seeds: bool) -> Any:
    """Where the parts of a run's state are.

    Args:
      mesh: the devices of the run.
      axes: what the state declares, as `train.state.state_axes` gives it.
      several_seeds: arrays that each seed has of its own have a leading axis for seeds.
    """

    def sharding(one: Axes) -> NamedSharding:
        if "world" not in one.names:
            return replicated(mesh)
        return sharded(mesh, one.names.index("world") + (several_seeds and one.per_seed))

    return jax.tree.map(sharding, axes)


def with_shardings(shapes: Any, shardings: Any) -> Any:
    """``shapes`` with their shardings. The tree ``shardings`` is a prefix of the tree ``shapes``."""

    def with_one(sharding: NamedSharding, part: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), part)

    return jax.tree.map(with_one, shardings, shapes)


def place(tree: Any, like: Any) -> Any:
    """Puts arrays from the host onto devices, as the shardings in ``like`` say. All processes have the same arrays."""

    def one(x: Any, shape: jax.ShapeDtypeStruct) -> jax.Array:
        if is_key(x):
            return jax.random.wrap_key_data(one(jax.random.key_data(x), shape))
        array = np.asarray(x)
        return jax.make_array_from_callback(array.shape, shape.sharding, lambda index: array[index])

    return jax.tree.map(one, tree, like)

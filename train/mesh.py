"""Several devices, of one process or of many: they share the worlds, the replay and the batches, and hold all else alike."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from envs import VectorState
from envs.command import UserError
from mjx_tecrl.replay import Replay
from train.arrays import is_key
from train.state import TrainState

WORLDS = "worlds"
"""The mesh's only axis."""


def make_mesh(devices: int) -> Mesh | None:
    """The first ``devices`` devices; None for a single one, on which everything is where JAX puts it.

    Raises:
      UserError: there are not so many, or more in a run of several processes.
    """
    there = jax.device_count()
    if devices > there or (jax.process_count() > 1 and devices != there):
        raise UserError(f"--devices is {devices}, and there are {there} in {jax.process_count()} process(es).")
    return Mesh(np.asarray(jax.devices()[:devices]), (WORLDS,)) if devices > 1 else None


def whole(mesh: Mesh) -> NamedSharding:
    """On every device the same."""
    return NamedSharding(mesh, PartitionSpec())


def shared(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """Cut into equal parts along ``axis``, one for each device."""
    return NamedSharding(mesh, PartitionSpec(*(None,) * axis, WORLDS))


def state_shardings(mesh: Mesh, state: TrainState, several_seeds: bool) -> TrainState:
    """Where the parts of a run's state are, as a prefix of its tree.

    Args:
      mesh: of the run.
      state: arrays or their shapes.
      several_seeds: the state has a leading axis for seeds.
    """
    first, second = shared(mesh, several_seeds), shared(mesh, several_seeds + 1)
    of_envs: dict[str, Any] = {field.name: whole(mesh) for field in dataclasses.fields(VectorState)}
    of_envs |= dict.fromkeys(("worlds", "starts_episode", "steps", "returns"), first) | {"trail": second}
    of_run: dict[str, Any] = {field.name: whole(mesh) for field in dataclasses.fields(TrainState)}
    if isinstance(state.replay, Replay):
        counter: Any = whole(mesh)
        of_run["replay"] = Replay(rows=second, head=counter, size=counter)
    return TrainState(**of_run | {"envs": VectorState(**of_envs)})


def with_shardings(shapes: Any, shardings: Any) -> Any:
    """``shapes`` that say where their arrays are; ``shardings`` is a prefix of their tree."""

    def place(sharding: NamedSharding, part: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), part)

    return jax.tree.map(place, shardings, shapes)


def put(tree: Any, like: Any) -> Any:
    """Arrays of the host, which all processes have alike, where ``like`` says."""

    def one(x: Any, shape: jax.ShapeDtypeStruct) -> jax.Array:
        if is_key(x):
            return jax.random.wrap_key_data(one(jax.random.key_data(x), shape))
        array = np.asarray(x)
        return jax.make_array_from_callback(array.shape, shape.sharding, lambda index: array[index])

    return jax.tree.map(one, tree, like)

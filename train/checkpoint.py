"""Checkpoints: the actor and the rest of the run side by side, so that evaluation reads only what it needs."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from train.errors import UserError
from train.state import Actor, TrainState

CHECKPOINTS_DIR = "checkpoints"


class Checkpoints:
    """The checkpoints of one run directory, named by environment steps.

    Args:
      run_dir: the run directory.
      keep: how many of the newest to keep; None keeps all.
    """

    def __init__(self, run_dir: pathlib.Path, keep: int | None = None):
        self._dir = run_dir.resolve() / CHECKPOINTS_DIR
        # Saving is synchronous: the buffers it reads are donated to the next chunk.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, enable_async_checkpointing=False, create=False, cleanup_tmp_directories=False
        )
        self._manager = ocp.CheckpointManager(self._dir, options=options) if self._dir.is_dir() else None
        self._options = options

    @property
    def steps(self) -> list[int]:
        """Environment steps at which there is a checkpoint, ascending."""
        return sorted(self._manager.all_steps()) if self._manager else []

    def save(self, step: int, state: TrainState) -> None:
        """Writes a checkpoint; it is there under its name only when it is whole."""
        if self._manager is None:
            self._dir.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(self._dir, options=self._options)
        parts = {name: ocp.args.StandardSave(_to_arrays(tree)) for name, tree in _split(state).items()}
        self._manager.save(step, args=ocp.args.Composite(**parts))

    def restore(self, like: TrainState, step: int | None = None) -> TrainState:
        """The newest checkpoint, or that of ``step``.

        Args:
          like: the state's structure and shapes (arrays or ``jax.ShapeDtypeStruct``).
          step: environment steps; None for the newest.

        Raises:
          UserError: there is none, it is damaged, or it is another run's.
        """
        parts = self._restore(step, _split(like))
        return TrainState(actor=parts["actor"], **parts["loop"])

    def restore_actor(self, like: Actor, step: int | None = None) -> Actor:
        """Only what it takes to act; otherwise as `restore`."""
        return self._restore(step, {"actor": like})["actor"]

    def resolve(self, step: int | None) -> int:
        """The step of the newest checkpoint, or ``step`` if there is one.

        Raises:
          UserError: there is none.
        """
        if not self.steps:
            raise UserError(f"There is no checkpoint in {self._dir}.")
        if step is None:
            return self.steps[-1]
        if step not in self.steps:
            raise UserError(f"There is no checkpoint of step {step} in {self._dir}; there are {self.steps}.")
        return step

    def _restore(self, step: int | None, like: dict[str, Any]) -> dict[str, Any]:
        step = self.resolve(step)
        assert self._manager is not None
        shapes = {name: jax.tree.map(_shape, _to_arrays(tree)) for name, tree in like.items()}
        args = {name: ocp.args.StandardRestore(tree) for name, tree in shapes.items()}
        try:
            for name, tree in shapes.items():
                self._check_shapes(step, name, tree)
            arrays = self._manager.restore(step, args=ocp.args.Composite(**args))
            return {name: _from_arrays(arrays[name], tree) for name, tree in like.items()}
        except Exception as error:  # Orbax and TensorStore raise whatever they meet: damage has no type of its own.
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise UserError(
                f"The checkpoint of step {step} in {self._dir} is damaged or does not belong to this run: {reason}"
            ) from error

    def _check_shapes(self, step: int, name: str, like: dict[str, jax.ShapeDtypeStruct]) -> None:
        """Orbax finds a wrong shape too, but leaves tasks behind that report themselves at any later time.

        Raises:
          ValueError: an array of this part is missing, or one too many, or of another shape.
        """
        stored = ocp.StandardCheckpointHandler().metadata(self._dir / str(step) / name).tree
        there = {key: (tuple(array.shape), array.dtype) for key, array in stored.items()}
        wanted = {key: (shape.shape, shape.dtype) for key, shape in like.items()}
        for key in sorted({*there, *wanted}):
            if there.get(key) != wanted.get(key):
                raise ValueError(f"{key} is {_describe(there.get(key))} there, and {_describe(wanted.get(key))} in this run")


def _describe(array: tuple[tuple[int, ...], Any] | None) -> str:
    return "nothing" if array is None else f"{array[1]}{list(array[0])}"


def _split(state: TrainState) -> dict[str, Any]:
    loop = {name: getattr(state, name) for name in ("envs", "exploration", "rewards", "replay", "key", "iterations")}
    return {"actor": state.actor, "loop": loop}


def _to_arrays(tree: Any) -> dict[str, Any]:
    """The leaves by name, as arrays that can be stored: keys as their data, and empty arrays (of no use) left out."""

    def data(x: Any) -> Any:
        return jax.eval_shape(jax.random.key_data, x) if isinstance(x, jax.ShapeDtypeStruct) else jax.random.key_data(x)

    named = ((jax.tree_util.keystr(path, simple=True, separator="."), x) for path, x in _leaves(tree))
    return {name: data(x) if _is_key(x) else x for name, x in named if x.size}


def _from_arrays(arrays: dict[str, jax.Array], like: Any) -> Any:
    """The tree that `_to_arrays` took apart."""
    leaves = []
    for path, x in _leaves(like):
        if not x.size:
            leaves.append(jnp.zeros(x.shape, x.dtype))
            continue
        array = arrays[jax.tree_util.keystr(path, simple=True, separator=".")]
        leaves.append(jax.random.wrap_key_data(array) if _is_key(x) else array)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _leaves(tree: Any) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_flatten_with_path(tree)[0]


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

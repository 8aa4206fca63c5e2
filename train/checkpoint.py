"""Checkpoints: written beside the training, checked when they are read, and never only half there.

A checkpoint is a folder ``checkpoints/STEP``, which has another name until it is whole. Its parts lie side by side, so that
evaluation reads only what it needs: ``actor``, ``loop`` (worlds, keys, counters) and ``replay``, written by Orbax; and
``manifest.json``, with the checksums of all files and arrays, the run's config and what the host has to remember.
"""

import concurrent.futures
import contextlib
import dataclasses
import gc
import json
import logging
import pathlib
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pydantic

import mjx_tecrl
from envs.command import UserError, warn
from train.arrays import describe, from_arrays, misfit, to_arrays
from train.mesh import fetch, is_main_process, largest
from train.problem import Actor
from train.state import TrainState, checkpoint_parts, from_checkpoint_parts

CHECKPOINTS_DIR = "checkpoints"
MANIFEST_FILE = "manifest.json"
SCHEMA = 1
"""Version of the layout; one more whenever an older checkpoint would be misread."""
MANIFEST_BYTES = 2**24
"""A manifest has some hundred bytes for each array: a larger one is not ours."""
BLOCK_BYTES = 2**22
CHUNK_BYTES = 2**24
"""What is compressed at a time."""
FILE_BYTES = 2**26
"""Size of a data file. Files are written out when they are full, so that this bounds what waits in memory for the disk."""


@dataclasses.dataclass(frozen=True)
class Notes:
    """What a checkpoint holds beside the state.

    Attributes:
      config: the run's, as plain values.
      progress: what the host has to remember, as plain values.
      return_mean: of an evaluation at this step, by which the best checkpoint is chosen; None without one.
    """

    config: dict[str, Any]
    progress: dict[str, Any]
    return_mean: float | None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a checkpoint says about itself.

    Attributes:
      schema: version of the layout, see `SCHEMA`.
      version: of the program that wrote it.
      notes: what else was kept.
      arrays: type, shape and CRC-32 of each array, by part and name.
      files: CRC-32 of each file, by part and path.
    """

    schema: int
    version: str
    notes: Notes
    arrays: dict[str, dict[str, tuple[str, tuple[int, ...], int]]]
    files: dict[str, dict[str, int]]


class DamagedError(Exception):
    """A checkpoint is not what was written; the text says what is wrong."""


class Checkpoints:
    """The checkpoints of one run directory, named by environment steps.

    Of all that are written, the newest, the first and the one with the best evaluation stay. In a run of several processes
    the main one writes them, and all of them read.

    Args:
      run_dir: the run directory.
      keep: how many of the newest to keep; None keeps all.
    """

    def __init__(self, run_dir: pathlib.Path, keep: int | None = None):
        self._dir = run_dir.resolve() / CHECKPOINTS_DIR
        self._keep = keep
        # One thread, so that checkpoints are written one after the other.
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoints")
        self._writing: concurrent.futures.Future[None] | None = None
        self._memory: dict[tuple[str, str], np.ndarray] = {}

    @property
    def steps(self) -> list[int]:
        """Environment steps at which there is a checkpoint, ascending."""
        if not self._dir.is_dir():
            return []
        return sorted(int(path.name) for path in self._dir.iterdir() if _is_step(path.name))

    def clean(self, beyond: int) -> None:
        """Removes what a killed process left half written, and steps later than ``beyond``, where the run goes on."""
        self._remove_if(lambda name: not _is_step(name) or int(name) > beyond)

    def _remove_if(self, unwanted: Callable[[str], bool]) -> None:
        for path in self._dir.iterdir() if self._dir.is_dir() and is_main_process() else ():
            if unwanted(path.name):
                _remove(path)

    def save(self, step: int, state: TrainState, notes: Notes, *, replay: bool = True) -> None:
        """Begins to write a checkpoint, unless there is one of this step. All processes have to call this.

        Returns once the state is copied, so that its buffers can be donated; `finish` tells how it ended.

        Args:
          step: environment steps.
          state: arrays.
          notes: what else to keep.
          replay: whether the replay is kept. Without, a resumed run fills it again.

        Raises:
          UserError: the checkpoint before this one could not be written.
        """
        self.finish()
        if largest(step in self.steps):
            return
        parts = checkpoint_parts(state)
        if not replay:
            del parts["replay"]
        copies = {name: self._copied(name, to_arrays(tree)) for name, tree in parts.items()}
        whole = {name: arrays for name, arrays in copies.items() if arrays}
        if is_main_process():
            self._writing = self._writer.submit(self._write, step, whole, notes)

    def _copied(self, part: str, arrays: dict[str, Any]) -> dict[str, np.ndarray]:
        """On the host, over the copies of the checkpoint before: it is fresh memory that takes long, not the copying."""
        copies = {}
        for name, x in arrays.items():
            copies[name] = fetch(x)
            if isinstance(x, jax.Array) and _on_host(x):  # else that is a copy already
                if (part, name) not in self._memory:
                    self._memory[part, name] = np.empty_like(copies[name])
                np.copyto(self._memory[part, name], copies[name])
                copies[name] = self._memory[part, name]
        return copies

    def finish(self, *, wait: bool = True) -> None:
        """Waits until the checkpoint that is being written is whole; without ``wait`` it only looks.

        Raises:
          UserError: it could not be written; one sentence. The checkpoints before it are as they were.
        """
        if self._writing is None or not (wait or self._writing.done()):
            return
        writing, self._writing = self._writing, None
        try:
            writing.result()
        except OSError as error:
            raise UserError(f"A checkpoint could not be written to {self._dir}: {_first_line(error)}.") from error

    def _write(self, step: int, parts: dict[str, dict[str, np.ndarray]], notes: Notes) -> None:
        self._dir.mkdir(exist_ok=True)
        _Hook.install()
        try:
            self._write_aside(self._dir / f"{step}.partial", parts, notes).rename(self._dir / str(step))
            problem = None
        except Exception as error:  # whatever Orbax, TensorStore or the file system came upon
            problem = _first_line(error)
            with contextlib.suppress(OSError):
                self._remove_if(lambda name: not _is_step(name))  # it may be what fills the disk
        if problem is not None:
            _forget_tasks()
            raise OSError(problem)
        if self._keep is not None:
            self.prune(self.steps, self._keep)

    def prune(self, steps: list[int], keep: int) -> None:
        """Removes those of ``steps`` (ascending) that are neither of the newest ``keep`` nor the first nor the best."""
        for old in set(steps[1:-keep]) - {self.best()}:
            _remove(self._dir / str(old))

    @property
    def writing(self) -> bool:
        """Whether there is a checkpoint whose end `finish` has not told yet."""
        return self._writing is not None

    def _write_aside(self, path: pathlib.Path, parts: dict[str, dict[str, np.ndarray]], notes: Notes) -> pathlib.Path:
        saves = {
            name: ocp.args.PyTreeSave(
                arrays,
                save_args={key: ocp.SaveArgs(chunk_byte_size=CHUNK_BYTES) for key in arrays},
                ocdbt_target_data_file_size=FILE_BYTES,
            )
            for name, arrays in parts.items()
        }
        with _orbax(parts) as orbax:
            orbax.save(path, args=ocp.args.Composite(**saves), force=True)
        manifest = Manifest(
            schema=SCHEMA,
            version=mjx_tecrl.__version__,
            notes=notes,
            arrays={name: {key: _describe(x) for key, x in arrays.items()} for name, arrays in parts.items()},
            files={name: dict(_files(path / name)) for name in parts},
        )
        text = json.dumps(dataclasses.asdict(manifest))
        (path / MANIFEST_FILE).write_text(json.dumps({"manifest": text, "crc32": zlib.crc32(text.encode())}))
        return path

    def best(self) -> int | None:
        """The step with the highest mean return in its evaluation; the newest of equals. None without evaluations."""
        returns = {}
        for step in self.steps:
            try:
                returns[step] = self.manifest(step).notes.return_mean
            except DamagedError:
                continue
        returns = {step: value for step, value in returns.items() if value is not None}
        return max(returns, key=lambda step: (returns[step], step)) if returns else None

    def manifest(self, step: int) -> Manifest:
        """What the checkpoint of ``step`` says about itself.

        Raises:
          DamagedError: it cannot be read, or has changed since it was written.
          UserError: a newer version wrote it.
        """
        try:
            path = self._dir / str(step) / MANIFEST_FILE
            if path.stat().st_size > MANIFEST_BYTES:
                raise ValueError("its manifest is too large")
            sealed = json.loads(path.read_text())
            if zlib.crc32(sealed["manifest"].encode()) != sealed["crc32"]:
                raise ValueError(f"{MANIFEST_FILE} has changed since it was written")
            manifest = json.loads(sealed["manifest"])
            if manifest["schema"] <= SCHEMA:
                return pydantic.TypeAdapter(Manifest).validate_python(manifest)
        except Exception as error:  # damage has no type of its own
            raise DamagedError(_first_line(error)) from error
        raise UserError(
            f"The checkpoint of step {step} in {self._dir} was written by version {manifest.get('version')} (schema "
            f"{manifest['schema']}), which is newer than this one (schema {SCHEMA}): update mjx-tecrl to read it."
        )

    def resolve(self, step: int) -> int:
        """``step``, if there is a checkpoint of it.

        Raises:
          UserError: there is none.
        """
        steps = self.steps
        if step not in steps:
            raise UserError(f"There is no checkpoint of step {step} in {self._dir}; there are {steps}.")
        return step

    def restore(self, like: TrainState, at_most: int | None = None) -> tuple[int, TrainState, Notes]:
        """The newest whole checkpoint, of step ``at_most`` or before: its step, the state in NumPy's arrays, the notes.

        A damaged one is passed over with a warning. One that was written without its replay comes back with an empty one.

        Args:
          like: the state's structure and shapes (arrays or ``jax.ShapeDtypeStruct``).
          at_most: environment steps; None for any.

        Raises:
          UserError: there is no whole one, or it is another run's.
        """
        candidates = [step for step in self.steps[::-1] if at_most is None or step <= at_most]
        step, parts, manifest = self._restore(candidates, checkpoint_parts(like), optional=frozenset({"replay"}))
        return step, from_checkpoint_parts(parts), manifest.notes

    def restore_actor(self, like: Actor, step: int | None = None) -> tuple[int, Actor]:
        """Only what it takes to act, of the newest whole checkpoint or that of ``step``; otherwise as `restore`."""
        candidates = self.steps[::-1] if step is None else [self.resolve(step)]
        step, parts, _ = self._restore(candidates, {"actor": like})
        return step, parts["actor"]

    def _restore(
        self,
        candidates: list[int],
        like: dict[str, Any],
        optional: frozenset[str] = frozenset(),
    ) -> tuple[int, dict[str, Any], Manifest]:
        if not candidates:
            raise UserError(f"There is no checkpoint in {self._dir}.")
        for candidate in candidates:
            try:
                manifest = self.manifest(candidate)
                self._check_fit(candidate, manifest.arrays, like, optional)
                return candidate, self._read(candidate, manifest, like), manifest
            except DamagedError as error:
                if not (self._dir / str(candidate)).exists():
                    continue  # the run that is under way has just removed it
                message = f"The checkpoint of step {candidate} in {self._dir} is damaged: {error}"
                if candidate == candidates[-1]:
                    raise UserError(f"{message}.") from error
                warn(f"{message}; the one before it is used.")
        raise UserError(f"The checkpoints in {self._dir} went away while they were read: try again.")

    def _check_fit(self, step: int, parts: dict[str, Any], like: dict[str, Any], optional: frozenset[str]) -> None:
        """Compares shapes, of which a damaged checkpoint cannot tell: the manifest is known to be whole.

        Raises:
          UserError: an array is missing, or one too many, or of another shape.
        """
        for name, tree in like.items():
            if name not in parts and name in optional:
                continue
            there = {key: f"{dtype}{list(shape)}" for key, (dtype, shape, _) in parts.get(name, {}).items()}
            wanted = {key: describe(x) for key, x in _shapes(tree).items()}
            if found := misfit(there, wanted):
                key, stored, needed = found
                raise UserError(
                    f"The checkpoint of step {step} in {self._dir} does not belong to this run: {name}.{key} is {stored} "
                    f"there, and {needed} in this run."
                )

    def _read(self, step: int, manifest: Manifest, like: dict[str, Any]) -> dict[str, Any]:
        path, expected = self._dir / str(step), manifest.arrays
        present = {name: _shapes(tree) for name, tree in like.items() if name in expected}
        as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
        restores = {
            name: ocp.args.PyTreeRestore(shapes, restore_args=dict.fromkeys(shapes, as_numpy))
            for name, shapes in present.items()
        }
        try:
            if parts := sorted({folder.name for folder in path.iterdir() if folder.is_dir()} - set(expected)):
                raise DamagedError(f"{MANIFEST_FILE} knows nothing of its {parts[0]}")
            # The files first: Orbax and TensorStore take some damage for data, and some makes them stumble.
            for name in present:
                changed = dict(manifest.files[name].items() ^ dict(_files(path / name)).items())
                if changed:
                    raise ValueError(f"{name}/{min(changed)} has changed since it was written")
            with _orbax(present) as orbax:
                arrays = orbax.restore(path, args=ocp.args.Composite(**restores))
            for name, shapes in present.items():
                for key in shapes:
                    if _describe(arrays[name][key]) != expected[name][key]:
                        raise ValueError(f"the array {name}.{key} has changed since it was written")
        except Exception as error:  # damage has no type of its own
            raise DamagedError(_first_line(error)) from error
        return {name: from_arrays(arrays[name] if name in expected else {}, tree) for name, tree in like.items()}


def _on_host(array: jax.Array) -> bool:
    """Whether NumPy sees the array itself, which training is about to overwrite."""
    return all(device.platform == "cpu" for device in array.devices())


def _orbax(parts: Iterable[str]) -> ocp.Checkpointer:
    """Orbax for these parts of a checkpoint, each a dict of NumPy's arrays."""
    types = ocp.type_handlers
    registry = types.create_type_handler_registry(
        (np.ndarray, types.NumpyHandler(deepcopy_host_arrays=False)),  # they were copied in `Checkpoints.save`
        (jax.Array, types.ArrayHandler()),
    )
    me = jax.process_index()  # Orbax would wait for the other processes
    alone = ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me}, barrier_sync_key_prefix=str(me))
    handler = lambda: ocp.PyTreeCheckpointHandler(type_handler_registry=registry, multiprocessing_options=alone)  # noqa: E731
    handlers = ocp.CompositeCheckpointHandler(
        composite_options=ocp.CompositeOptions(multiprocessing_options=alone), **{name: handler() for name in parts}
    )
    return ocp.Checkpointer(handlers, multiprocessing_options=alone)


def _is_news(record: logging.LogRecord) -> bool:
    """What goes wrong in Orbax's tasks is raised, and told once; each of them would tell it too, with a traceback."""
    return not any(words in record.getMessage() for words in ("exception was never retrieved", "_SignalingThread.run()"))


for _logger in ("absl", "asyncio"):
    logging.getLogger(_logger).addFilter(_is_news)


class _Hook:
    """For what cannot be raised, but for one thing that is no news: TensorStore ended a write for which, since another had
    failed, nobody waited any more.
    """

    def __init__(self) -> None:
        self._tell = sys.unraisablehook

    def __call__(self, unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            self._tell(unraisable)

    @classmethod
    def install(cls) -> None:
        """Once; it stays, since such writes end when they like."""
        if not isinstance(sys.unraisablehook, cls):
            sys.unraisablehook = cls()


def _forget_tasks() -> None:
    """Lets those go that failed, which some say on standard error."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        gc.collect()
    finally:
        sys.unraisablehook = hook


def _is_step(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _remove(path: pathlib.Path) -> None:
    """Removes a folder in such a way that it is not there half removed."""
    doomed = path.with_name(f"{path.name}.removed")
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _files(folder: pathlib.Path) -> Iterator[tuple[str, int]]:
    """Names and checksums of all files in a folder."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            crc = 0
            with file.open("rb") as data:
                while block := data.read(BLOCK_BYTES):
                    crc = zlib.crc32(block, crc)
            yield file.relative_to(folder).as_posix(), crc


def _describe(array: np.ndarray) -> tuple[str, tuple[int, ...], int]:
    """Type, shape and checksum."""
    return str(array.dtype), array.shape, zlib.crc32(np.ascontiguousarray(array).data)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__


def _shapes(tree: Any) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in to_arrays(tree).items()}

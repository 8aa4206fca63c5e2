"""The checkpoints of a run directory: written beside the training, verified when they are read, and kept or removed by rule.

Why is Orbax's ``CheckpointManager`` not used, which has asynchronous saving and preservation policies? Orbax does write and
read the parts (`train.checkpoints.parts`). But its manager, tried in version 0.12.8, lacks what `Checkpoints` promises:

* *Damage is detected.* Of 30 bits flipped in its files, one at a time, the manager restored all 30 as other numbers, without
  an error. Our checksums cover the finished files and have to be in the folder before the folder gets its name. The manager
  renames the folder itself and offers no place in between.
* *A full disk costs one checkpoint.* When a save had failed, the manager raised the same error again at the next save, for
  which there was room, so that this one was lost too. The half-written folder stayed until another manager was made.
* *Retention over seeds.* The manager applies its policies when a step is saved, to one directory. In a run of several seeds
  a step counts as new only once all seeds have it, because a run goes on from a step that all of them have.
* *Training waits only for a copy.* Of the copy it is the fresh memory that takes long: 1.3 s with it and 0.23 s without, for
  a million transitions of humanoid (docs/reliability.md). So one copy overwrites the one before it
  (`train.checkpoints.copies`), whereas Orbax copies arrays of the host into fresh memory at every save.
"""

import concurrent.futures
import contextlib
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import jax

from envs.command import UserError, first_line, warn
from train.arrays import describe, from_arrays, misfit, to_arrays
from train.checkpoints.copies import HostCopies
from train.checkpoints.manifest import (
    LONGEST_REASON,
    MANIFEST_FILE,
    DamagedError,
    Manifest,
    Notes,
    describe_array,
    file_checksums,
    read_manifest,
    write_manifest,
)
from train.checkpoints.parts import read_parts, write_parts
from train.checkpoints.quiet import forget_failed_tasks
from train.processes import is_main_process, largest

CHECKPOINTS_DIR = "checkpoints"

Arrays = Mapping[str, Mapping[str, Any]]
"""Arrays by part and name."""


class Checkpoints:
    """The checkpoints of one run directory, each named by its number of environment steps.

    The newest checkpoints, the first one, and the one with the best evaluation are kept. In a run of several processes the
    main process writes the checkpoints, and all processes read them.

    Args:
      run_dir: the run directory.
      keep: how many of the newest checkpoints to keep. None keeps all.
    """

    def __init__(self, run_dir: pathlib.Path, keep: int | None = None):
        self._dir = run_dir.resolve() / CHECKPOINTS_DIR
        self._keep = keep
        # One thread, so that checkpoints are written one after the other.
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoints")
        self._writing: concurrent.futures.Future[None] | None = None
        self._copies = HostCopies()
        self._read_back = False  # whether a checkpoint has been

    @property
    def steps(self) -> list[int]:
        """The environment steps at which there is a checkpoint, ascending."""
        if not self._dir.is_dir():
            return []
        return sorted(int(path.name) for path in self._dir.iterdir() if _is_step(path.name))

    @property
    def writing(self) -> bool:
        """Whether there is a checkpoint of which `finish` has not yet said how it ended."""
        return self._writing is not None

    def save(self, step: int, parts: Mapping[str, Any], notes: Notes) -> None:
        """Begins to write a checkpoint, unless there is one of this step. All processes have to call this.

        Returns once the arrays are copied, so that their buffers can be donated. `finish` says how the writing ended.

        Args:
          step: environment steps.
          parts: trees of arrays, by the name of their part. A part without arrays is not written.
          notes: what else to keep.

        Raises:
          UserError: the checkpoint before this one could not be written; one sentence.
        """
        self.finish()
        if largest(step in self.steps):
            return
        copies = {name: self._copies.copy(name, to_arrays(tree)) for name, tree in parts.items()}
        if is_main_process():
            filled = {name: arrays for name, arrays in copies.items() if arrays}
            self._writing = self._writer.submit(self._write, step, filled, notes)

    def finish(self, *, wait: bool = True) -> None:
        """Waits until the checkpoint that is being written is complete. Without ``wait`` it only checks whether it is.

        Raises:
          UserError: it could not be written; one sentence. The checkpoints before it are as they were.
        """
        if self._writing is None or not (wait or self._writing.done()):
            return
        writing, self._writing = self._writing, None
        try:
            writing.result()
        except OSError as error:
            raise UserError(
                f"A checkpoint could not be written to {self._dir}: {first_line(error, LONGEST_REASON)}."
            ) from error

    def _write(self, step: int, parts: Arrays, notes: Notes) -> None:
        """Writes a checkpoint under another name, and gives it its own once it is complete."""
        self._dir.mkdir(exist_ok=True)
        draft = self._dir / f"{step}.partial"
        try:
            write_parts(draft, parts)
            write_manifest(draft, notes, parts)
            draft.rename(self._dir / str(step))
            if parts and not self._read_back:
                self._check_readable(step, parts)
                self._read_back = True
            problem = None
        except Exception as error:  # whatever Orbax, TensorStore or the file system ran into
            problem = first_line(error, LONGEST_REASON)
            with contextlib.suppress(OSError):
                self._remove_if(lambda name: not _is_step(name))  # the draft may be what fills the disk
        if problem is not None:  # handled here, where the error no longer refers to the tasks that failed
            forget_failed_tasks()
            raise OSError(problem)
        if self._keep is not None:
            self.prune(self.steps, self._keep)

    def _check_readable(self, step: int, parts: Arrays) -> None:
        """Reads the smallest part of a checkpoint that was just written, as a run that is resumed would.

        Checksums are made of the files as they are. They cannot tell that a folder has a name or lies on a file system from
        which Orbax cannot read. A run has to learn that from its first checkpoint, not from its last.

        Raises:
          OSError: it cannot be read.
        """
        smallest = min(parts, key=lambda part: sum(x.nbytes for x in parts[part].values()))
        try:
            self._read(step, self.manifest(step), {smallest: parts[smallest]})
        except DamagedError as error:
            raise OSError(f"it was written, but cannot be read ({error})") from error

    def prune(self, steps: list[int], keep: int) -> None:
        """Removes those of ``steps`` (ascending) that are not the first, not the best, and not of the newest ``keep``."""
        for superseded in set(steps[1:-keep]) - {self.best()}:
            _remove(self._dir / str(superseded))

    def clean(self, beyond: int) -> None:
        """Removes half-written checkpoints that a killed process left, and those later than step ``beyond``."""
        self._remove_if(lambda name: not _is_step(name) or int(name) > beyond)

    def _remove_if(self, unwanted: Callable[[str], bool]) -> None:
        for path in self._dir.iterdir() if self._dir.is_dir() and is_main_process() else ():
            if unwanted(path.name):
                _remove(path)

    def best(self) -> int | None:
        """The step with the highest mean return in its evaluation, the newest of equals. None without any evaluation."""
        returns = {}
        for step in self.steps:
            with contextlib.suppress(DamagedError):
                returns[step] = self.manifest(step).notes.return_mean
        returns = {step: value for step, value in returns.items() if value is not None}
        return max(returns, key=lambda step: (returns[step], step)) if returns else None

    def manifest(self, step: int) -> Manifest:
        """What the checkpoint of ``step`` says about itself.

        Raises:
          DamagedError: the manifest cannot be read, or has changed since it was written.
          UserError: a newer version wrote it; one sentence.
        """
        return read_manifest(self._dir / str(step))

    def restore(
        self,
        like: Mapping[str, Any],
        *,
        step: int | None = None,
        at_most: int | None = None,
        optional: frozenset[str] = frozenset(),
    ) -> tuple[int, dict[str, Any], Notes]:
        """Restores parts of the newest intact checkpoint. A damaged one is passed over with a warning.

        Args:
          like: for each part that is wanted, the structure and shapes of its tree (arrays or ``jax.ShapeDtypeStruct``). No
            other part is read.
          step: restores the checkpoint of this step and no other.
          at_most: passes over checkpoints later than this step.
          optional: parts that the checkpoint may lack. They come back as zeros.

        Returns:
          The step, the trees by part with NumPy arrays as leaves, and the notes.

        Raises:
          UserError: there is no such checkpoint, none of them is intact, or they are another run's; one sentence.
        """
        candidates = [there for there in self.steps[::-1] if step in (None, there) and (at_most is None or there <= at_most)]
        if not candidates:
            if step is not None:
                raise UserError(f"There is no checkpoint of step {step} in {self._dir}; there are {self.steps}.")
            raise UserError(f"There is no checkpoint in {self._dir}.")
        for candidate in candidates:
            try:
                manifest = self.manifest(candidate)
                self._check_fit(candidate, manifest, like, optional)
                return candidate, self._read(candidate, manifest, like), manifest.notes
            except DamagedError as error:
                if not (self._dir / str(candidate)).exists():
                    continue  # the run that is under way has just removed it
                message = f"The checkpoint of step {candidate} in {self._dir} is damaged: {error}"
                if candidate == candidates[-1]:
                    raise UserError(f"{message}.") from error
                warn(f"{message}; the one before it is used.")
        raise UserError(f"The checkpoints in {self._dir} went away while they were read: try again.")

    def _check_fit(self, step: int, manifest: Manifest, like: Mapping[str, Any], optional: frozenset[str]) -> None:
        """Compares names and shapes. A misfit is not damage, because the manifest is known to be intact.

        Raises:
          UserError: a part or an array is missing, or an array is superfluous or of another shape; one sentence.
        """
        for part, tree in like.items():
            there = {}
            if part in manifest.arrays:
                for name, stored in manifest.stored_names(part).items():
                    dtype, shape, _ = manifest.arrays[part][stored]
                    there[name] = f"{dtype}{list(shape)}"
            elif part in optional:
                continue
            else:
                raise UserError(
                    f"The checkpoint of step {step} in {self._dir} holds no more than {' and '.join(manifest.arrays)}: "
                    "no run can go on from it."
                )
            if found := misfit(there, {name: describe(x) for name, x in _shapes(tree).items()}):
                name, stored, needed = found
                raise UserError(
                    f"The checkpoint of step {step} in {self._dir} does not belong to this run: {part}.{name} is {stored} "
                    f"there, and {needed} in this run."
                )

    def _read(self, step: int, manifest: Manifest, like: Mapping[str, Any]) -> dict[str, Any]:
        """Reads the parts that the manifest has and verifies them.

        Raises:
          DamagedError: a file or an array is not what the manifest says.
        """
        path = self._dir / str(step)
        names = {part: manifest.stored_names(part) for part in like if part in manifest.arrays}
        try:
            if unknown := sorted({folder.name for folder in path.iterdir() if folder.is_dir()} - set(manifest.arrays)):
                raise DamagedError(f"{MANIFEST_FILE} knows nothing of its {unknown[0]}")
            # The files are verified first: Orbax and TensorStore take some damage for data, and crash on other damage.
            for part in names:
                if changed := manifest.files[part].items() ^ dict(file_checksums(path / part)).items():
                    raise ValueError(f"{part}/{min(dict(changed))} has changed since it was written")
            shapes = {
                part: {stored[name]: shape for name, shape in _shapes(like[part]).items()} for part, stored in names.items()
            }
            parts = read_parts(path, shapes)
            for part in names:
                for stored in shapes[part]:
                    if describe_array(parts[part][stored]) != manifest.arrays[part][stored]:
                        raise ValueError(f"the array {part}.{stored} has changed since it was written")
        except Exception as error:  # damage has no type of its own
            raise DamagedError(first_line(error, LONGEST_REASON)) from error
        arrays = {part: {name: parts[part][old] for name, old in stored.items()} for part, stored in names.items()}
        return {part: from_arrays(arrays.get(part, {}), tree) for part, tree in like.items()}


def _is_step(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _remove(path: pathlib.Path) -> None:
    """Removes a folder in such a way that nobody finds it half removed under its name."""
    doomed = path.with_name(f"{path.name}.removed")
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _shapes(tree: Any) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in to_arrays(tree).items()}

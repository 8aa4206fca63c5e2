"""What a checkpoint says about itself: a file with the checksums of everything in it, sealed by a checksum of its own.

The layout has a version, the *schema*. An older schema is still read: `RENAMES` says what its arrays are called today.
"""

import dataclasses
import json
import pathlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pydantic

import mjx_tecrl
from envs.command import UserError, first_line

MANIFEST_FILE = "manifest.json"
SCHEMA = 2
"""Version of the layout. Raise it by one whenever the new program would misread an older checkpoint."""
MANIFEST_BYTES = 2**24
"""Largest manifest that is read. One takes some hundred bytes for each array, so a larger file is not a manifest of ours."""
LONGEST_REASON = 200
"""Characters of a library's message that are passed on."""
BLOCK_BYTES = 2**22
"""How much of a file is read at a time to compute its checksum."""


class DamagedError(Exception):
    """A checkpoint is not what was written. The text says what is wrong."""


@dataclasses.dataclass(frozen=True)
class Renames:
    """What a schema called differently from the schema after it.

    Attributes:
      arrays: the new name of an array, by its part and its old name.
      progress: the new key of an entry of `Notes.progress`, by its old key.
    """

    arrays: Mapping[tuple[str, str], str]
    progress: Mapping[str, str]


RENAMES = {1: Renames(arrays={("loop", "iterations"): "vector_steps"}, progress={"turns": "iterations"})}
"""By schema: what the next one calls differently."""


@dataclasses.dataclass(frozen=True)
class Notes:
    """What a checkpoint holds beside arrays.

    Attributes:
      config: the run's config, as plain values.
      progress: what the host has to remember of the run, as plain values.
      return_mean: the mean return of the evaluation at this step, by which the best checkpoint is chosen. None if there was
        no evaluation.
    """

    config: dict[str, Any]
    progress: dict[str, Any]
    return_mean: float | None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a checkpoint says about itself.

    Attributes:
      schema: the version of the layout, see `SCHEMA`.
      version: the version of the program that wrote the checkpoint.
      notes: what the checkpoint holds beside arrays.
      arrays: type, shape and CRC-32 of each array, by part and by the name under which it is stored.
      files: CRC-32 of each file, by part and path.
    """

    schema: int
    version: str
    notes: Notes
    arrays: dict[str, dict[str, tuple[str, tuple[int, ...], int]]]
    files: dict[str, dict[str, int]]

    def stored_names(self, part: str) -> dict[str, str]:
        """The name under which each array of a part is stored, by its name of today."""
        names = {name: name for name in self.arrays[part]}
        for renames in _renames_since(self.schema):
            names = {renames.arrays.get((part, name), name): stored for name, stored in names.items()}
        return names


def write_manifest(folder: pathlib.Path, notes: Notes, parts: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Writes the manifest of a checkpoint.

    Args:
      folder: the checkpoint. The files of its parts lie there already.
      notes: what the checkpoint holds beside arrays.
      parts: the arrays that were written, by part and name.
    """
    manifest = Manifest(
        schema=SCHEMA,
        version=mjx_tecrl.__version__,
        notes=notes,
        arrays={part: {name: describe_array(x) for name, x in arrays.items()} for part, arrays in parts.items()},
        files={part: dict(file_checksums(folder / part)) for part in parts},
    )
    text = json.dumps(dataclasses.asdict(manifest))
    (folder / MANIFEST_FILE).write_text(json.dumps({"manifest": text, "crc32": zlib.crc32(text.encode())}))


def read_manifest(folder: pathlib.Path) -> Manifest:
    """What the checkpoint in ``folder``, whose name is its step, says about itself.

    The notes are those of today's schema; `Manifest.stored_names` translates the names of arrays.

    Raises:
      DamagedError: the manifest cannot be read, or has changed since it was written.
      UserError: a newer version of the program wrote it; one sentence.
    """
    try:
        path = folder / MANIFEST_FILE
        if path.stat().st_size > MANIFEST_BYTES:
            raise ValueError("its manifest is too large")
        sealed = json.loads(path.read_text())
        if zlib.crc32(sealed["manifest"].encode()) != sealed["crc32"]:
            raise ValueError(f"{MANIFEST_FILE} has changed since it was written")
        values = json.loads(sealed["manifest"])
        if values["schema"] <= SCHEMA:
            manifest = pydantic.TypeAdapter(Manifest).validate_python(values)
            progress = manifest.notes.progress
            for renames in _renames_since(manifest.schema):
                progress = {renames.progress.get(key, key): value for key, value in progress.items()}
            return dataclasses.replace(manifest, notes=dataclasses.replace(manifest.notes, progress=progress))
    except Exception as error:  # damage has no type of its own
        raise DamagedError(first_line(error, LONGEST_REASON)) from error
    raise UserError(
        f"The checkpoint of step {folder.name} in {folder.parent} was written by version {values.get('version')} (schema "
        f"{values['schema']}), which is newer than this one (schema {SCHEMA}): update mjx-tecrl to read it."
    )


def file_checksums(folder: pathlib.Path) -> Iterator[tuple[str, int]]:
    """The path, relative to ``folder``, and the CRC-32 of each file in a folder."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            crc = 0
            with file.open("rb") as data:
                while block := data.read(BLOCK_BYTES):
                    crc = zlib.crc32(block, crc)
            yield file.relative_to(folder).as_posix(), crc


def describe_array(array: np.ndarray) -> tuple[str, tuple[int, ...], int]:
    """Type, shape and CRC-32 of an array."""
    return str(array.dtype), array.shape, zlib.crc32(np.ascontiguousarray(array).data)


def _renames_since(schema: int) -> Iterator[Renames]:
    """What has been renamed since ``schema``, the oldest first."""
    return (RENAMES[older] for older in sorted(RENAMES) if older >= schema)

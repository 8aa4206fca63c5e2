"""The parts of a checkpoint on disk: each is a folder of named arrays, which Orbax writes and reads."""

import contextlib
import pathlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping

import jax
import numpy as np
import orbax.checkpoint as ocp

from train.checkpoints.quiet import quiet_orbax

CHUNK_BYTES = 2**24
"""How much is compressed at a time."""
FILE_BYTES = 2**26
"""Size of a data file. A file is written out when it is full, so this bounds how much waits in memory for the disk."""


def write_parts(folder: pathlib.Path, parts: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Writes arrays, given by part and name, into a new folder. Whatever lies there is overwritten."""
    quiet_orbax()
    saves = {
        part: ocp.args.PyTreeSave(
            dict(arrays),
            save_args={name: ocp.SaveArgs(chunk_byte_size=CHUNK_BYTES) for name in arrays},
            ocdbt_target_data_file_size=FILE_BYTES,
        )
        for part, arrays in parts.items()
    }
    with _plain_name(folder) as plain, _checkpointer(parts) as orbax:
        orbax.save(plain, args=ocp.args.Composite(**saves), force=True)
    for path in folder.rglob(_COMMITTED):
        path.write_text("")  # Orbax writes the folder's path into it; a run that is passed on should not tell that


def read_parts(
    folder: pathlib.Path, shapes: Mapping[str, Mapping[str, jax.ShapeDtypeStruct]]
) -> dict[str, dict[str, np.ndarray]]:
    """Reads the arrays whose shapes are given, by part and name. Other parts in the folder are not read."""
    quiet_orbax()
    as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
    restores = {
        part: ocp.args.PyTreeRestore(dict(named), restore_args=dict.fromkeys(named, as_numpy))
        for part, named in shapes.items()
    }
    with _plain_name(folder) as plain, _checkpointer(shapes) as orbax:
        restored = orbax.restore(plain, args=ocp.args.Composite(**restores))
    return {part: restored[part] for part in shapes}


@contextlib.contextmanager
def _plain_name(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A path to ``folder`` that Orbax reads as it is meant.

    Orbax searches its folder by a pattern that begins with the folder's path. In ``sac[lr=0.001]`` it finds nothing, and
    in ``a*b`` also the files of a folder ``aXb``. TensorStore takes a backslash for a slash. So where the path has such a
    character, a link without one leads there.
    """
    if not _PATTERN.search(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory() as links:
        link = pathlib.Path(links) / "parent"
        link.symlink_to(folder.parent.absolute(), target_is_directory=True)
        yield link / folder.name


_COMMITTED = "commit_success.txt"
"""A file that only has to be there."""
_PATTERN = re.compile(r"[][*?{}\\]")
"""Characters of a path that mean something else in a pattern."""


def _checkpointer(parts: Iterable[str]) -> ocp.Checkpointer:
    """Orbax for these parts, each of them a dict of NumPy arrays."""
    types = ocp.type_handlers
    registry = types.create_type_handler_registry(
        (np.ndarray, types.NumpyHandler(deepcopy_host_arrays=False)),  # `Checkpoints.save` has copied them already
        (jax.Array, types.ArrayHandler()),
    )
    me = jax.process_index()  # without this Orbax would wait for the other processes
    alone = ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me}, barrier_sync_key_prefix=str(me))

    def handler() -> ocp.PyTreeCheckpointHandler:
        return ocp.PyTreeCheckpointHandler(type_handler_registry=registry, multiprocessing_options=alone)

    handlers = ocp.CompositeCheckpointHandler(
        composite_options=ocp.CompositeOptions(multiprocessing_options=alone), **{part: handler() for part in parts}
    )
    return ocp.Checkpointer(handlers, multiprocessing_options=alone)

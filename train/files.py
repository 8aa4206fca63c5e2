"""Files that nobody finds half written."""

import os
import pathlib


def replace_file(path: pathlib.Path, data: bytes) -> None:
    """Writes a file in one stroke. Whoever reads it, even after a crash, finds either the old contents or the new."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)

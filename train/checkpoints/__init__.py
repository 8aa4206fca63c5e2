"""Checkpoints: written beside the training, verified when they are read, and never half there.

A checkpoint is a folder ``checkpoints/STEP``. Until it is complete it has another name. Its *parts* lie in it side by side,
so that each can be read alone; a part is a tree of arrays, which Orbax writes. ``manifest.json`` holds the checksums of all
files and arrays, the run's config, and what the host has to remember. A checkpoint is *intact* if all that is read of it is
what was written, and *damaged* otherwise.

Nothing here knows what the parts are: ``train.state`` says that.
"""

from train.checkpoints.manifest import MANIFEST_FILE, SCHEMA, DamagedError, Manifest, Notes
from train.checkpoints.store import CHECKPOINTS_DIR, Checkpoints

__all__ = ["CHECKPOINTS_DIR", "MANIFEST_FILE", "SCHEMA", "Checkpoints", "DamagedError", "Manifest", "Notes"]

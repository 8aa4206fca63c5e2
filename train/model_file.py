"""The compiled model of a run, in its directory.

Scoring, filming and resuming use it. So they do not depend on the folder that they are started from, nor on whether a model
file was edited or removed since.
"""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import mujoco
import numpy as np
import pydantic

from envs.command import UserError, warn
from train.files import replace_file

MODEL_FILE = "model.mjb"
"""The compiled model of a run, in its directory."""
ORIGIN_FILE = "model.json"
"""What the compiled model was made of, in the run directory: MuJoCo's version, and each file with its digest."""
ORIGIN_BYTES = 2**24
"""Largest `ORIGIN_FILE` that is read. It takes some hundred bytes for each file of a model."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a compiled model comes from.

    Attributes:
      mujoco: version of MuJoCo that compiled it. Another version may not be able to read it.
      sha256: digest of the compiled model.
      sources: digest of each file that it was compiled from, by path. Empty if it does not come from a file.
    """

    mujoco: str
    sha256: str
    sources: dict[str, str]


def save_model(run_dir: pathlib.Path, env: Any, *, with_sources: bool = True) -> None:
    """Writes the compiled model of a task into the run directory. A task that brings its own engine has none.

    Args:
      run_dir: the run directory.
      env: the task.
      with_sources: remember the files of which the model was made, to say when one is edited.

    Raises:
      UserError: it cannot be written; one sentence.
    """
    if not hasattr(env, "model_file"):
        return  # another library's task has a model for films alone, and loads it itself
    model: mujoco.MjModel = env.model
    buffer = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    data = buffer.tobytes()
    file: pathlib.Path | None = env.model_file
    named = with_sources and file is not None
    sources = {path: _digest(path) for path in mujoco.mju_getXMLDependencies(str(file))} if named else {}
    origin = Origin(mujoco.__version__, hashlib.sha256(data).hexdigest(), sources)
    try:
        replace_file(run_dir / MODEL_FILE, data)
        # It comes last: without it the model does not count.
        replace_file(run_dir / ORIGIN_FILE, pydantic.TypeAdapter(Origin).dump_json(origin, indent=2) + b"\n")
    except OSError as error:
        raise UserError(f"The model cannot be written to {run_dir}: {error.strerror}.") from error


def load_saved_model(run_dir: pathlib.Path) -> mujoco.MjModel | None:
    """The model that `save_model` wrote. None if the task has to load it again: an older version of this program began the
    run, or another version of MuJoCo compiled the model.

    Raises:
      UserError: it is damaged, or it has to be compiled again and its files were edited; one sentence.
    """
    origin = _load_origin(run_dir)
    if origin is None:
        return None
    if origin.mujoco != mujoco.__version__:
        by = f"The model of {run_dir} was compiled by MuJoCo {origin.mujoco}, and this is {mujoco.__version__}"
        if edited := _edited(origin):
            raise UserError(f"{by}: it cannot be compiled again, because {edited[0]} was edited since the run began.")
        warn(f"{by}: it is compiled again.")
        return None
    path = run_dir / MODEL_FILE
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != origin.sha256:
            raise ValueError("it has changed since it was written")
        return mujoco.MjModel.from_binary_path(MODEL_FILE, {MODEL_FILE: data})
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}.") from error


def describe_model(env: Any, env_args: Any, run_dir: pathlib.Path) -> str:
    """Names the model file in use, for the first line of a run, where the user named one; empty otherwise."""
    if getattr(env_args, "xml_file", None) is None:
        return ""
    return f"model {getattr(env, 'model_file', None) or run_dir / MODEL_FILE}; "


def warn_of_edits(run_dir: pathlib.Path) -> None:
    """Warns of each file that the run's model was compiled from and that says something else today."""
    for path in _edited(origin) if (origin := _load_origin(run_dir)) else ():
        warn(f"{path} was edited since the run began; the run goes on with its own model, {run_dir / MODEL_FILE}.")


def _load_origin(run_dir: pathlib.Path) -> Origin | None:
    path = run_dir / ORIGIN_FILE
    try:
        if path.stat().st_size > ORIGIN_BYTES:
            raise UserError(f"{path} is too large to be what a run writes.")
        return pydantic.TypeAdapter(Origin).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except pydantic.ValidationError as error:
        raise UserError(f"{path} is damaged: {error.errors()[0]['msg']}.") from error


def _edited(origin: Origin) -> list[str]:
    """The source files that are there and differ. A file that is gone is none of them."""
    return [path for path, digest in origin.sources.items() if os.path.isfile(path) and _digest(path) != digest]


def _digest(path: str) -> str:
    """The digest of a file; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""

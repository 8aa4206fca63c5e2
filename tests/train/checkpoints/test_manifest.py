"""Manifests, and checkpoints of every schema."""

import json
import os
import pathlib
import shutil
import signal
import time
from typing import Any

import jax
import numpy as np
import pytest

from envs.command import Interrupted
from eval.restore import restore
from tests.runs import leaves, quiet, restore_state, seal, shared_program, tiny_config, untimed
from train.checkpoints import MANIFEST_FILE, SCHEMA, Checkpoints, Manifest, Notes
from train.checkpoints.manifest import write_manifest
from train.checkpoints.parts import read_parts, write_parts
from train.config import config_from_json, load_config
from train.loop import train
from train.program import Program
from train.progress import ProgressDisplay

SCHEMAS = pathlib.Path(__file__).parent


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_a_run_of_each_schema_can_be_restored(schema: int, tmp_path: pathlib.Path) -> None:
    """Where this fails, older checkpoints do not fit any more: raise `SCHEMA`, and say in `RENAMES` what became of them."""
    run_dir = shutil.copytree(SCHEMAS / f"schema-{schema}", tmp_path / "run")
    config = load_config(run_dir)
    step, state, notes = restore_state(Checkpoints(run_dir), Program(config.validate()).state_shapes())
    assert step == int(state.vector_steps) * config.num_envs == 80
    assert int(state.updates) == 11
    assert config_from_json(notes.config, "notes").agent == "td3"
    assert {"chunks", "iterations"} <= set(notes.progress)
    assert restore(run_dir).step == 80


def test_names_of_older_schemas_are_translated() -> None:
    described = ("int32", (), 0)
    arrays = {"loop": {"iterations": described, "key": described}, "actor": {"iterations": described}}
    old = Manifest(schema=1, version="", notes=Notes({}, {}, None), arrays=arrays, files={})
    assert old.stored_names("loop") == {"vector_steps": "iterations", "key": "key"}
    assert old.stored_names("actor") == {"iterations": "iterations"}
    new = Manifest(schema=SCHEMA, version="", notes=Notes({}, {}, None), arrays=arrays, files={})
    assert new.stored_names("loop") == {"iterations": "iterations", "key": "key"}


@pytest.mark.usefixtures("programs")
def test_a_checkpoint_of_schema_1_resumes_exactly(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the middle of a chunk, so that all that was renamed counts: the rest of the run is the uninterrupted one's."""

    def stop(display: ProgressDisplay, env_steps: int) -> None:
        if env_steps > 80:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    config = tiny_config(tmp_path / "run", checkpoint_steps=10**6)
    with monkeypatch.context() as patch:
        patch.setattr(ProgressDisplay, "advance", stop)
        with pytest.raises(Interrupted):
            train(config, console=quiet())
    checkpoints = Checkpoints(tmp_path / "run")
    [step] = checkpoints.steps
    written = write_as_schema_1(tmp_path / "run" / "checkpoints" / str(step))
    assert written["progress"]["turns"] > 0
    assert checkpoints.manifest(step).schema == 1
    train(config, resume=True, console=quiet())
    assert untimed(tmp_path / "run") == untimed(tiny_run)
    like = shared_program(config).state_shapes()
    resumed, uninterrupted = (leaves(restore_state(Checkpoints(path), like)[1]) for path in (tmp_path / "run", tiny_run))
    for x, y in zip(resumed, uninterrupted, strict=True):
        np.testing.assert_array_equal(x, y)


def write_as_schema_1(folder: pathlib.Path) -> dict[str, Any]:
    """Rewrites a checkpoint as a program of schema 1 would have written it; returns its notes."""
    path = folder / MANIFEST_FILE
    manifest = json.loads(json.loads(path.read_text())["manifest"])
    shapes = {
        part: {name: jax.ShapeDtypeStruct(shape, dtype) for name, (dtype, shape, _) in arrays.items()}
        for part, arrays in manifest["arrays"].items()
    }
    parts = read_parts(folder, shapes)
    parts["loop"]["iterations"] = parts["loop"].pop("vector_steps")
    notes = manifest["notes"]
    notes["progress"]["turns"] = notes["progress"].pop("iterations")
    shutil.rmtree(folder)
    write_parts(folder, parts)
    write_manifest(folder, Notes(**notes), parts)
    path.write_text(seal(json.loads(json.loads(path.read_text())["manifest"]) | {"schema": 1}))
    return notes

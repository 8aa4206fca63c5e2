"""Checkpoints: what comes back, what is passed over, what is kept, and what is refused."""

import dataclasses
import json
import pathlib
import shutil
import tracemalloc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.command import UserError
from eval.restore import restore
from tests.runs import leaves, restore_state, seal, tiny_config
from train.checkpoints import MANIFEST_FILE, SCHEMA, Checkpoints, Notes
from train.checkpoints.parts import CHUNK_BYTES, FILE_BYTES
from train.problem import make_problem
from train.program import Program
from train.state import TrainState, checkpoint_parts

NOTES = Notes(config={}, progress={}, return_mean=None)


@pytest.fixture(scope="module")
def like() -> TrainState:
    """The shapes of `tiny_run`'s state."""
    return Program(tiny_config()).state_shapes()


@pytest.fixture
def copy(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A run that may be damaged."""
    return shutil.copytree(tiny_run, tmp_path / "copy")


def change_manifest(run_dir: pathlib.Path, step: int, **values: Any) -> None:
    """Changes a manifest and seals it again, so that the change is not taken for damage."""
    path = run_dir / "checkpoints" / str(step) / MANIFEST_FILE
    path.write_text(seal(json.loads(json.loads(path.read_text())["manifest"]) | values))


def test_a_step_that_is_not_there(tiny_run: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint of step 7 .* there are \[80, 240, 320\]"):
        Checkpoints(tiny_run).restore({}, step=7)


@pytest.mark.parametrize("part", ["actor", "loop", "replay", MANIFEST_FILE])
def test_the_one_before_a_damaged_checkpoint_is_used(
    copy: pathlib.Path, like: TrainState, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy / "checkpoints" / "320" / part
    path = max((p for p in [folder, *folder.rglob("*")] if p.is_file()), key=lambda p: p.stat().st_size)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    step, _, notes = restore_state(Checkpoints(copy), like)
    assert (step, notes.progress["chunks"]) == (240, 3)
    assert "warning: The checkpoint of step 320 in" in capsys.readouterr().err
    if part in ("actor", MANIFEST_FILE):
        with pytest.raises(UserError, match=r"The checkpoint of step 320 .* is damaged: .*"):
            restore(copy, step=320)
    else:
        assert restore(copy).step == 320  # which does not read the damaged part
    assert restore(copy, step=240).step == 240


def test_no_intact_checkpoint_is_one_sentence(copy: pathlib.Path) -> None:
    for step in (80, 240, 320):
        shutil.rmtree(copy / "checkpoints" / str(step) / "actor")
    with pytest.raises(UserError, match=r"The checkpoint of step 80 .* is damaged: actor/\S+ has changed since"):
        restore(copy)


def test_a_part_that_its_manifest_does_not_name_is_damage(copy: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not taken for a checkpoint that was written without its replay."""
    manifest = json.loads(json.loads((copy / "checkpoints" / "320" / MANIFEST_FILE).read_text())["manifest"])
    named = {name: {part: x for part, x in manifest[name].items() if part != "replay"} for name in ("arrays", "files")}
    change_manifest(copy, 320, **named)
    assert restore_state(Checkpoints(copy), Program(tiny_config()).state_shapes())[0] == 240
    assert "is damaged: manifest.json knows nothing of its replay; the one before it is used" in capsys.readouterr().err


def test_an_array_that_orbax_restores_differently_is_damage(copy: pathlib.Path, like: TrainState) -> None:
    """The files are as they were written, so that only the array's own checksum shows the damage."""
    path = copy / "checkpoints" / "320" / MANIFEST_FILE
    arrays = json.loads(json.loads(path.read_text())["manifest"])["arrays"]
    arrays["loop"]["key"][2] ^= 1
    change_manifest(copy, 320, arrays=arrays)
    assert restore_state(Checkpoints(copy), like)[0] == 240


def test_a_newer_versions_checkpoint_is_refused_by_its_name(copy: pathlib.Path, like: TrainState) -> None:
    change_manifest(copy, 320, schema=SCHEMA + 1, version="9.1.0", arrays="in another way")
    with pytest.raises(UserError, match=rf"written by version 9.1.0 \(schema {SCHEMA + 1}\), which is newer than this one"):
        restore_state(Checkpoints(copy), like)


def test_networks_of_another_size_are_refused(tiny_run: pathlib.Path) -> None:
    problem = make_problem(tiny_config(agent="fast_sac_era"))
    like = problem.actor_shapes()
    sentence = r"does not belong to this run: actor.agent.critic_aux is float32\[2\] there, and nothing in this run"
    with pytest.raises(UserError, match=sentence):
        Checkpoints(tiny_run).restore({"actor": like})


def test_without_its_replay_a_checkpoint_is_small_and_comes_back_with_an_empty_one(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, like: TrainState
) -> None:
    _, state, _ = restore_state(Checkpoints(tiny_run), like)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(320, checkpoint_parts(dataclasses.replace(state, replay=())), NOTES)
    checkpoints.finish()
    assert not (tmp_path / "checkpoints" / "320" / "replay").exists()
    _, restored, _ = restore_state(checkpoints, like)
    assert int(state.replay.size) == 80
    assert int(restored.replay.size) == 0
    assert restored.replay.rows.obs.shape == state.replay.rows.obs.shape
    others = (leaves((state.actor, state.envs, state.key)) for state in (state, restored))
    for x, y in zip(*others, strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_state_may_be_overwritten_while_it_is_being_saved(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, like: TrainState
) -> None:
    _, state, _ = restore_state(Checkpoints(tiny_run), like)
    expected = leaves(state)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(320, checkpoint_parts(state), NOTES)
    jax.jit(lambda state: jax.tree.map(jnp.zeros_like, state), donate_argnums=0)(state)
    checkpoints.finish()
    for x, y in zip(expected, leaves(restore_state(checkpoints, like)[1]), strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_newest_the_first_and_the_best_are_kept(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, like: TrainState
) -> None:
    _, state, _ = restore_state(Checkpoints(tiny_run), like)
    checkpoints = Checkpoints(tmp_path, keep=2)
    kept = []
    for step, return_mean in enumerate([None, 1.0, 3.0, None, 3.0, 2.0, None], 1):
        checkpoints.save(step, {"actor": state.actor}, Notes({}, {}, return_mean))
        checkpoints.finish()
        kept.append(checkpoints.steps)
    assert kept == [[1], [1, 2], [1, 2, 3], [1, 3, 4], [1, 4, 5], [1, 5, 6], [1, 5, 6, 7]]
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"1", "5", "6", "7"}


def test_what_a_killed_process_left_is_removed(copy: pathlib.Path, like: TrainState) -> None:
    folder = copy / "checkpoints"
    for name in ("400.partial", "400.partial.orbax-checkpoint-tmp", "160.removed"):
        shutil.copytree(folder / "80", folder / name)
    checkpoints = Checkpoints(copy)
    assert checkpoints.steps == [80, 240, 320]
    assert restore_state(checkpoints, like)[0] == 320
    checkpoints.clean(beyond=240)
    assert {path.name for path in folder.iterdir()} == {"80", "240"}


def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, like: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, state, _ = restore_state(Checkpoints(tiny_run), like)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(80, checkpoint_parts(state), NOTES)
    checkpoints.finish()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", full)
    checkpoints.save(160, checkpoint_parts(state), NOTES)
    with pytest.raises(UserError, match=r"could not be written to .*: .*No space left on device"):
        checkpoints.finish()
    checkpoints.finish()  # the error is raised only once
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["80"]


def test_writing_takes_little_memory_beside_the_copy(tmp_path: pathlib.Path) -> None:
    """By default Orbax copies arrays of the host, and keeps what it compressed in memory until a file is full."""
    size = 2 * FILE_BYTES
    actor = jnp.asarray(np.random.default_rng(0).standard_normal(size // 4, np.float32))
    checkpoints = Checkpoints(tmp_path, keep=1)
    tracemalloc.start()
    try:
        for step in (1, 2):
            checkpoints.save(step, {"actor": {"weights": actor}}, NOTES)
            checkpoints.finish()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size <= peak < 1.2 * size
    files = [path.stat().st_size for path in (tmp_path / "checkpoints" / "2").rglob("*") if path.is_file()]
    assert 0.8 * size < sum(files) < size
    assert max(files) < FILE_BYTES + 2 * CHUNK_BYTES

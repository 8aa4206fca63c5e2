"""A run directory with nothing but the policy: what can be done with it, and what cannot."""

import json
import pathlib

import jax
import numpy as np
import pytest

from eval import export, run
from eval.policy_folder import only_needed
from eval.restore import restore
from tests.runs import shared_program
from train.run import main


@pytest.fixture(scope="module")
def folder(tiny_run: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What was exported of `tiny_run`; only to be read."""
    out = tmp_path_factory.mktemp("policies") / "pendulum"
    assert export.main([str(tiny_run), "--out", str(out)]) == 0
    return out


def test_it_scores_as_the_run_does(folder: pathlib.Path, tiny_run: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for run_dir in (tiny_run, folder):
        assert run.main([str(run_dir), "--episodes", "2", "--json"]) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1]


def test_what_acting_does_not_need_is_zero(folder: pathlib.Path, tiny_run: pathlib.Path) -> None:
    kept, whole = (restore(path).actor for path in (folder, tiny_run))
    assert all(not np.any(x) for x in jax.tree.leaves((kept.agent.optimizers, kept.agent.targets, kept.agent.params.critic)))
    jax.tree.map(np.testing.assert_array_equal, kept.agent.params.policy, whole.agent.params.policy)
    jax.tree.map(np.testing.assert_array_equal, kept.normalizer, whole.normalizer)


def test_what_acting_needs_is_known_without_normaliser_too(tiny_run: pathlib.Path) -> None:
    restored = restore(tiny_run)
    kept = only_needed(restored.problem, restored.actor)
    obs = np.random.default_rng(0).normal(size=(5, restored.problem.spec.obs_size)).astype(np.float32)
    np.testing.assert_array_equal(restored.problem.policy(kept)(obs), restored.policy(obs))


def test_it_says_nothing_of_where_it_was_made(folder: pathlib.Path, tiny_run: pathlib.Path) -> None:
    for path in filter(pathlib.Path.is_file, folder.rglob("*")):
        for place in (tiny_run.parent, folder.parent, pathlib.Path.cwd()):
            assert str(place).encode() not in path.read_bytes(), path


def test_it_is_exported_once_more(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert export.main([str(folder), "--out", str(tmp_path / "policy.npz")]) == 0


def test_it_cannot_be_resumed(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("train.loop.Program", shared_program)
    assert main(["--run-dir", str(folder), "--resume"]) == 2
    assert "holds no more than actor: no run can go on from it." in capsys.readouterr().err


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_is_there_is_not_overwritten(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    out = tmp_path / "out"
    if there == "folder":
        out.mkdir()
        (out / "mine").touch()
    else:
        out.touch()
    assert export.main([str(tiny_run), "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"error: {out} is there already: name a new folder.\n"


READY_MADE = sorted(path for path in (pathlib.Path(__file__).parents[2] / "policies").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", READY_MADE, ids=lambda path: path.name)
def test_ready_made_policies_are_small_and_act(folder: pathlib.Path) -> None:
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 2**20
    restored = restore(folder)
    obs = np.random.default_rng(0).normal(size=(5, restored.problem.spec.obs_size)).astype(np.float32)
    actions = np.asarray(restored.policy(obs))
    assert np.ptp(actions, axis=0).max() > 0.1
    assert (np.abs(actions) <= 1).all()

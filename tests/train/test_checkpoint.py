"""Checkpoints: what comes back, and what is refused."""

import pathlib
import shutil

import jax
import pytest

from eval.restore import restore
from tests.runs import tiny_config
from train.checkpoint import Checkpoints
from train.errors import UserError
from train.learner import Learner


def test_a_step_that_is_not_there(tiny_run: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint of step 7 .* there are \[80, 240, 320\]"):
        Checkpoints(tiny_run).resolve(7)


def largest_file(folder: pathlib.Path) -> pathlib.Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_a_truncated_checkpoint_is_one_sentence(tiny_run: pathlib.Path, tmp_path: pathlib.Path, keep: float) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_run, copy)
    path = largest_file(copy / "checkpoints" / "320" / "actor")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(UserError, match=r"The checkpoint of step 320 .* is damaged"):
        restore(copy)
    assert restore(copy, step=240).step == 240


def test_a_checkpoint_without_its_files_is_one_sentence(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_run, copy)
    shutil.rmtree(copy / "checkpoints" / "320" / "actor")
    with pytest.raises(UserError, match="is damaged"):
        restore(copy)


def test_networks_of_another_size_are_refused(tiny_run: pathlib.Path) -> None:
    learner = Learner(tiny_config(agent="fast_sac_era"))
    like = jax.eval_shape(learner.init_actor, jax.random.key(0))
    with pytest.raises(
        UserError, match=r"does not belong to this run: actor.agent.critic_aux is float32\[2\] there, and nothing in this run"
    ):
        Checkpoints(tiny_run).restore_actor(like)

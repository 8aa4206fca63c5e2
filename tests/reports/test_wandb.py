"""Weights & Biases, whose package is played by a fake: the service itself cannot be reached."""

import pathlib
import sys
import types
from typing import Any

import pytest

from envs.command import UserError
from tests.runs import CHUNK_STEPS, quiet, tiny_config
from train.loop import train


class FakeWandb(types.ModuleType):
    """Knows a user or not, and notes how runs are begun."""

    class Error(Exception):
        """The package's own."""

    def __init__(self, known: bool = True):
        super().__init__("wandb")
        self.known = known
        self.begun: list[dict[str, Any]] = []

    def login(self) -> None:
        if not self.known:
            raise self.Error("No API key configured.\nUse `wandb login` to log in.")

    def init(self, **kwargs: Any) -> Any:
        self.begun.append(kwargs)
        return types.SimpleNamespace(log=lambda *args, **kwargs: None, finish=lambda: None)


@pytest.mark.parametrize(
    ("package", "sentence"),
    [(None, r"--wandb needs Weights & Biases: pip install 'mjx-tecrl\[wandb\]'\."), (FakeWandb(False), "WANDB_API_KEY")],
)
def test_what_wandb_lacks_is_said_before_anything_is_written(
    package: Any, sentence: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ultralytics/yolov5#1703, DeepRL-TensorFlow2#4"""
    monkeypatch.setitem(sys.modules, "wandb", package)
    with pytest.raises(UserError, match=sentence):
        train(tiny_config(tmp_path / "run", wandb=True), console=quiet())
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("programs")
def test_a_resumed_run_is_the_same_run_there(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """snowflakedb/ArcticTraining PR#328, wandb/wandb#4482"""
    package = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", package)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    train(tiny_config(tmp_path, wandb=True, total_steps=CHUNK_STEPS), console=quiet())
    train(tiny_config(tmp_path, wandb=True, total_steps=2 * CHUNK_STEPS), resume=True, console=quiet())
    first, second = package.begun
    assert first["id"] == second["id"] != ""
    assert (first["resume"], first["project"]) == ("allow", "mine")

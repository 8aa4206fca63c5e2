"""`envs.make` and `envs.task`: the names of tasks, and the answers to wrong names, and what ``auto`` stands for."""

import sys

import jax
import pytest

import envs
from envs.engines import Engine
from envs.tasks.hopper import Hopper


@pytest.mark.parametrize("name", sorted(envs.GYMNASIUM_TASKS))
def test_every_task_is_made_by_its_own_name(name: str) -> None:
    env = envs.make(name)
    assert env.name == name
    assert isinstance(env, envs.task(name))
    assert env.obs_size > 0
    assert env.action_size > 0


@pytest.mark.parametrize(
    ("wrong", "offered"), [("humaniod", "humanoid"), ("hoper", "hopper"), ("HalfCheetah", "half_cheetah")]
)
def test_a_misspelt_task_is_answered_with_the_nearest(wrong: str, offered: str) -> None:
    with pytest.raises(ValueError, match=f"unknown env '{wrong}'; did you mean .*{offered}"):
        envs.make(wrong)


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(ValueError, match=r"half_cheetah.*hopper.*humanoid"):
        envs.task("zzz")


def test_an_unknown_engine_is_answered_with_the_engines() -> None:
    with pytest.raises(ValueError, match="unknown physics engine 'bullet'; choose one of: auto, mjx, warp, native"):
        envs.make("hopper", physics="bullet")


def test_making_a_task_prints_nothing_and_writes_no_file(
    capfd: pytest.CaptureFixture[str], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in envs.GYMNASIUM_TASKS:
        envs.make(name)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("nvidia")
def test_on_an_nvidia_gpu_auto_is_warp(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("warp")
    assert envs.make("inverted_pendulum").engine_name == "warp"
    assert envs.make("inverted_pendulum", repeatable=True).engine_name == "mjx"
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("nvidia")
def test_on_an_nvidia_gpu_auto_is_mjx_where_warp_refuses_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("warp")
    assert envs.make("ant-v5").engine_name == "mjx"
    assert capsys.readouterr().err == (
        "warning: --physics auto takes mjx: ant-v5 runs on mjx and native: the warp engine does not compute cfrc_ext, "
        "mjx and native do.\n"
    )
    with pytest.raises(ValueError, match="does not compute cfrc_ext"):
        envs.make("ant-v5", physics="warp")


@pytest.mark.usefixtures("nvidia")
def test_on_an_nvidia_gpu_without_warp_auto_is_mjx(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "warp", None)
    assert envs.make("inverted_pendulum").engine_name == "mjx"
    assert capsys.readouterr().err == (
        "warning: --physics auto takes mjx: the warp engine needs Warp: pip install 'mjx-tecrl[warp]'.\n"
    )


@pytest.mark.usefixtures("nvidia")
def test_auto_finds_what_warp_refuses_only_in_a_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in dm_control's tasks, start states are computed by another engine, which lets worlds differ in ``body_pos``."""
    pytest.importorskip("warp")

    class Shifted(Hopper):
        name = "shifted"

        def make_engine_at_reset(self) -> Engine:
            return self.make_engine(self.model, self.reads, "native")

        def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, envs.Info]:
            return *super().reset_pose(key)[:2], {"model": {"body_pos": jax.numpy.asarray(self.model.body_pos)}}

    monkeypatch.setitem(envs.TASKS, "shifted", Shifted)
    assert envs.make("shifted").engine_name == "mjx"
    assert "takes mjx: on the warp engine worlds cannot differ in mjModel.body_pos" in capsys.readouterr().err


@pytest.mark.usefixtures("nvidia")
def test_what_every_engine_refuses_is_no_reason_to_take_mjx(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="iterations must be at least 1, not 0"):
        envs.make("hopper", solver=envs.SolverConfig(iterations=0))
    assert not capsys.readouterr().err

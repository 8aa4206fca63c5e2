"""`envs.make` and `envs.task`: the names of tasks, and the answers to wrong names."""

import pytest

import envs


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

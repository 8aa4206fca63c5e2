"""What all tasks share: arguments out of range, the healthy range, the scaling of actions."""

import dataclasses
import inspect
import math
import pathlib

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.tasks.mujoco_task import within


@pytest.mark.parametrize(
    "name", [name for name in envs.GYMNASIUM_TASKS if hasattr(envs.task(name).Args, "reset_noise_scale")]
)
def test_noise_must_not_be_negative(name: str) -> None:
    with pytest.raises(ValueError, match=r"reset_noise_scale must not be negative, not -0\.1"):
        envs.task(name).Args(reset_noise_scale=-0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_must_be_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="ctrl_cost_weight must be finite"):
        envs.task("hopper").Args(ctrl_cost_weight=bad)


@pytest.mark.parametrize("bad", [(2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)])
def test_ranges_must_increase(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="healthy_z_range must be an increasing pair"):
        envs.task("hopper").Args(healthy_z_range=bad)


@pytest.mark.parametrize("name", [name for name, task in envs.GYMNASIUM_TASKS.items() if task.gymnasium_id.endswith("-v5")])
def test_arguments_are_named_as_gymnasiums(name: str) -> None:
    task = envs.task(name)
    theirs = inspect.signature(gymnasium.envs.registration.load_env_creator(gymnasium.spec(task.gymnasium_id).entry_point))
    left_out = {"default_camera_config", "kwargs", "uph_cost_weight"}
    assert {field.name for field in dataclasses.fields(task.Args)} == set(theirs.parameters) - left_out


def test_an_argument_that_gymnasiums_environment_lacks_is_named() -> None:
    task = envs.make("hopper-v4", envs.task("hopper-v4").Args(frame_skip=2), physics="native")
    with pytest.raises(ValueError, match="Hopper-v4 does not take all of: frame_skip"):
        task.make_gymnasium()


def test_making_gymnasiums_environment_prints_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("half_cheetah", "half_cheetah-v4"):
        envs.make(name, physics="native").make_gymnasium()
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_a_model_file_of_ones_own(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    xml = (pathlib.Path(gymnasium.__file__).parent / "envs/mujoco/assets/hopper.xml").read_text()
    path = tmp_path / "heavy.xml"
    path.write_text(xml.replace('condim="1"', 'condim="1" density="2000"'))
    mass = envs.make("hopper", physics="native").model.body_mass.sum()
    for name in (str(path), "heavy.xml"):
        heavy = envs.make("hopper", envs.task("hopper").Args(xml_file=name), physics="native")
        assert heavy.model.body_mass.sum() == pytest.approx(2 * mass)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"xml_file": "nowhere.xml"}, "there is no model file .*nowhere.xml"),
        ({"xml_file": "BROKEN"}, "XML"),
        ({"frame_skip": 0}, "frame_skip must be at least 1, not 0"),
    ],
)
def test_a_bad_model_or_frame_skip_is_refused(kwargs: dict, message: str, tmp_path: pathlib.Path) -> None:
    if kwargs.get("xml_file") == "BROKEN":
        (tmp_path / "broken.xml").write_text("<mujoco><worldbody></mujoco>")
        kwargs = {"xml_file": str(tmp_path / "broken.xml")}
    with pytest.raises(ValueError, match=message):
        envs.make("hopper", envs.task("hopper").Args(**kwargs), physics="native")


def test_the_healthy_range_is_open_and_excludes_nan() -> None:
    bounds = (1.0, 2.0)
    assert [bool(within(jnp.float32(x), bounds)) for x in (0.9, 1.0, 1.5, 2.0, jnp.nan)] == [0, 0, 1, 0, 0]
    assert not within(jnp.array([1.5, jnp.nan]), bounds)
    assert within(jnp.array([1.5, 1.2]), bounds)


@pytest.mark.parametrize("name", ["hopper", "walker2d", "ant", "humanoid", "inverted_pendulum", "inverted_double_pendulum"])
def test_a_state_that_is_not_a_number_is_not_healthy(name: str) -> None:
    task = envs.make(name, physics="native")
    state = jax.jit(task.reset)(jax.random.key(0))
    physics = dataclasses.replace(state.physics, qpos=state.physics.qpos * jnp.nan)
    after = jax.jit(task.step)(dataclasses.replace(state, physics=physics), jnp.zeros(task.action_size))
    assert after.terminated


def test_actions_span_the_range_of_the_actuators() -> None:
    task = envs.make("humanoid", physics="native")
    state = jax.jit(task.reset)(jax.random.key(0))
    step = jax.jit(task.step)
    for scale in (-1.0, 0.0, 0.5, 1.0):
        after = step(state, jnp.full(17, scale))
        np.testing.assert_allclose(after.metrics["reward_ctrl"], -0.1 * 17 * (0.4 * scale) ** 2, rtol=1e-5)

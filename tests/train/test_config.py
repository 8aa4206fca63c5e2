"""The config: what it refuses, and its file."""

import dataclasses
import json
import pathlib
from typing import Any

import pytest

from envs.command import UserError
from mjx_tecrl import AGENTS
from tests.runs import tiny_config
from train.config import SCHEDULE_TOLERANCE, load_config
from train.presets import preset


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"num_envs": 0}, "--num-envs must be at least 1, not 0"),
        ({"total_steps": -5}, "--total-steps must be at least 1"),
        ({"batch_size": 41}, "--batch-size 41 is larger than the first fill"),
        ({"learning_starts": 400}, "must be smaller than --replay-size"),
        ({"updates_per_step": None, "steps_per_update": 0.0}, "--steps-per-update must be from 1e-06 to 1e"),
        ({"updates_per_step": None, "steps_per_update": float("nan")}, "for an on-policy agent, not nan"),
        ({"updates_per_step": 2**31}, "asks for 2147483648 gradient steps in a row with 4 worlds"),
        ({"replay_size": 399, "num_envs": 200, "learning_starts": 300}, "must hold at least 2 steps"),
        ({"replay_size": 599, "num_envs": 200, "learning_starts": 500}, "holds 400 transitions, the same number of each"),
        ({"num_envs": 300}, "must hold at least 2 steps of each of the 300 worlds"),
        (
            {"batch_size": 0},
            "--replay-size, --learning-starts must all be at least 1, or all 0 for an on-policy agent, not 1, 0",
        ),
        ({"physics": "bullet"}, "unknown physics engine 'bullet'"),
    ],
)
def test_validate_refuses_what_cannot_be(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        tiny_config(**values).validate()


@pytest.mark.parametrize(
    ("worlds", "schedule"),
    [(1, (1, 16)), (3, (3, 16)), (8, (1, 2)), (16, (1, 1)), (24, (3, 2)), (100, (19, 3)), (256, (16, 1)), (4096, (256, 1))],
)
def test_the_number_of_worlds_does_not_change_the_updates(worlds: int, schedule: tuple[int, int]) -> None:
    config = tiny_config(num_envs=worlds, steps_per_update=16.0, updates_per_step=None)
    assert config.update_schedule == schedule
    assert dataclasses.replace(config, updates_per_step=3).update_schedule == (3, 1)


def test_every_number_of_worlds_comes_close_to_the_steps_per_update() -> None:
    for worlds in range(1, 3000):
        updates, every = tiny_config(num_envs=worlds, steps_per_update=20.0, updates_per_step=None).update_schedule
        assert worlds * every / updates == pytest.approx(20, rel=SCHEDULE_TOLERANCE * 1.03)
        assert updates <= max(50, worlds // 20 + 1)


def test_learning_begins_when_there_is_a_transition_to_draw() -> None:
    assert tiny_config(learning_starts=42).first_fill == 11
    assert tiny_config(num_envs=64, learning_starts=42).first_fill == 2


def test_what_auto_physics_stands_for_is_left_to_the_task() -> None:
    assert tiny_config(physics="auto").validate().physics == "auto"
    with pytest.raises(UserError, match="unknown physics engine 'bullet'"):
        tiny_config(physics="bullet").validate()


@pytest.mark.parametrize("env", ["hopper", "humanoid"])  # their ranges hold infinities, which JSON lacks
@pytest.mark.parametrize("agent", sorted(AGENTS))
def test_file_gives_back_the_same_config(tmp_path: pathlib.Path, env: str, agent: str) -> None:
    config = preset("paper", env, agent)
    config.save(tmp_path)
    json.loads((tmp_path / "config.json").read_text(), parse_constant=pytest.fail)  # strict JSON: no bare Infinity
    assert load_config(tmp_path) == config


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("num_envs",), "many", "num_envs"),
        (("agent",), "dsac_ee", "did you mean dsac_e"),
        (("env_args", "reset_noise_scale"), -1.0, "must not be negative"),
        (("agent_args", "momentum"), 1.0, "unknown field 'momentum'"),
        (("color",), "red", "unknown field 'color'"),
    ],
)
def test_load_names_the_field_that_does_not_fit(
    tmp_path: pathlib.Path, path: tuple[str, ...], value: Any, sentence: str
) -> None:
    tiny_config().save(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=sentence):
        load_config(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"env": "hopper"}'])
def test_load_refuses_what_is_no_config(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError):
        load_config(tmp_path)


def test_load_lacks_a_field(tmp_path: pathlib.Path) -> None:
    tiny_config().save(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    del values["total_steps"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="total_steps"):
        load_config(tmp_path)


def test_every_field_is_explained() -> None:
    source = pathlib.Path(__import__("train.config").config.__file__).read_text()
    for field in dataclasses.fields(type(tiny_config())):
        after = source.split(f"    {field.name}: ", 1)[1].splitlines()[1]
        assert after.strip().startswith('"""') or field.name in ("env_args", "agent_args", "solver", "randomization"), (
            field.name
        )

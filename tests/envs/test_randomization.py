"""Who declares what differs from world to world (the task or the caller), and which ranges are refused."""

from typing import Any

import pytest

import envs
from envs import NOT_RANDOMIZED, Randomization, RandomizedEnv


def test_nothing_is_randomized_unless_asked_for() -> None:
    for name in ("hopper", "humanoid", "reacher"):
        assert envs.task(name).randomization == NOT_RANDOMIZED
        assert not isinstance(envs.make(name), RandomizedEnv)


def test_a_task_declares_its_own() -> None:
    class Rough(envs.task("hopper")):  # type: ignore[misc]
        name = "rough_hopper"
        randomization = Randomization(friction=(0.4, 0.6))

    envs.TASKS[Rough.name] = Rough
    try:
        assert envs.make(Rough.name).randomization.friction == (0.4, 0.6)
        assert not isinstance(envs.make(Rough.name, randomization=NOT_RANDOMIZED), RandomizedEnv)
    finally:
        del envs.TASKS[Rough.name]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"friction": (0.0, 1.0)}, "friction must be a range of positive factors"),
        ({"mass": (2.0, 1.0)}, "mass must be a range"),
        ({"actuator_gain": (1.0, float("nan"))}, "actuator_gain must be a range"),
        ({"obs_noise": -0.1}, "obs_noise must not be negative"),
        ({"action_delay": -1}, "action_delay must not be negative"),
        ({"push_interval": 0.0}, "push_interval must be positive"),
    ],
)
def test_what_cannot_be_drawn_is_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"randomize\.{message}"):
        Randomization(**kwargs)

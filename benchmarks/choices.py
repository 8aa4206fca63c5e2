"""What the command lines of several benchmarks name: tasks, and agents with choices such as ``dsac_e:rho=20,critics=5``."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any, Literal

import envs
from envs.command import UserError, user_errors
from envs.own_code import label, located
from mjx_tecrl import AGENTS
from train.config import Config
from train.presets import preset

EngineName = Literal["native", "mjx", "warp"]


@dataclasses.dataclass(frozen=True)
class Training:
    """The arguments of a benchmark that trains one agent on one task."""

    task: str = "humanoid"
    """the task"""
    agent: str = "dsac_e"
    """the agent, with choices of its own if need be, such as dsac_e:rho=20,critics=5"""
    preset: str = "quick"
    """the preset of the run"""
    json: pathlib.Path | None = None
    """file to write the figures to"""

    def config(self, **values: Any) -> Config:
        """The checked config of the run, with other values for some of its fields.

        Raises:
          UserError: an unknown name, or an impossible value; one sentence.
        """
        return dataclasses.replace(chosen(self.preset, self.task, self.agent), **values).validate()


def chosen(preset_name: str, task: str, agent: str, **length: int) -> Config:
    """The config of a preset, with the agent's choices, for a run of this `train.presets.LENGTH`.

    Raises:
      UserError: an unknown name, or a choice that the agent does not have; one sentence.
    """
    name, choices = split_choices(agent)
    with user_errors():
        config = preset(preset_name, task, name, **length)
    # Commas separate choices, except in a list such as hidden=[64,64].
    values = {}
    for choice in re.split(r",(?![^\[]*\])", choices) if choices else ():
        key, equals, text = choice.partition("=")
        if not equals or key not in {field.name for field in dataclasses.fields(config.agent_args)}:
            raise UserError(f"{name} has no choice {choice!r}: a choice is a field of it and a value, such as rho=20.")
        values[key] = _value(text)
    return dataclasses.replace(config, agent_args=dataclasses.replace(config.agent_args, **values))


def split_choices(agent: str) -> tuple[str, str]:
    """The name of an agent, and its choices or nothing.

    An agent in a file of one's own has a colon in its name: ``my_agent.py:my_agent:rho=20``.
    """
    name, _, choices = agent.partition(":")
    if name in AGENTS:
        return name, choices
    name, _, choices = agent.rpartition(":")
    return (name, choices) if "=" in choices else (agent, "")


def file_stem(task: str, agent: str) -> str:
    """The names of a task and of an agent with its choices, as a part of a file's name."""
    name, choices = split_choices(agent)
    return f"{label(task)}-{label(name)}{choices and ','}{choices}"


def named_tasks(names: tuple[str, ...], default: Iterable[str]) -> tuple[str, ...]:
    """The tasks that a command line names, their files by absolute paths; or the default ones if it names none.

    Raises:
      UserError: there is no such task; one sentence.
    """
    with user_errors():
        for name in names:
            envs.task(name)
    return tuple(map(located, names)) or tuple(default)


def _value(text: str) -> Any:
    """A number or a tuple if the text is one, as a saved config has it, otherwise the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value

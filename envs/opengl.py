"""OpenGL. Only films need it: a machine without its libraries trains, scores, lists and plots all the same."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

from envs.command import UserError

VARIABLE = "MUJOCO_GL"
"""The environment variable by which a user chooses how MuJoCo draws: egl, osmesa, glfw or disable."""

LIBRARIES = {"egl": "egl", "osmesa": "osmesa", "glfw": "glfw", "glx": "glfw"}
"""Values of `VARIABLE` that name a library, and MuJoCo's module for each."""


@contextlib.contextmanager
def drawing(width: int, height: int) -> Iterator[None]:
    """Within this block, MuJoCo can draw pictures of up to this size.

    The order of imports does not matter, because MuJoCo's own choice is not used. The library is the one that ``MUJOCO_GL``
    names. If it names none, EGL is tried, and then GLFW if there is a display.

    Args:
      width: width of a picture (pixels).
      height: height of a picture (pixels).

    Raises:
      UserError: OpenGL does not work on this machine.
    """
    set_before = os.environ.get(VARIABLE)
    names = [set_before] if set_before in LIBRARIES else ["egl", "glfw"] if "DISPLAY" in os.environ else ["egl"]
    failures = []
    for name in names:
        try:
            context = importlib.import_module(f"mujoco.{LIBRARIES[name]}").GLContext(width, height)
            context.make_current()
        except Exception as error:  # PyOpenGL and the driver raise whatever they stumble over
            failures.append(f"{name}: {type(error).__name__}")
            continue
        # MuJoCo finds OpenGL's functions by this variable, and reads it when it first draws.
        os.environ[VARIABLE] = name
        try:
            yield
        finally:
            if set_before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = set_before
            context.free()
        return
    raise UserError(
        f"no picture can be drawn here, because OpenGL does not work ({', '.join(failures)}); without a GPU install Mesa "
        "(Debian: libegl1 libopengl0 libgl1-mesa-dri)."
    )


def _import_mujoco() -> None:
    """Imports MuJoCo, whether or not this machine can draw.

    MuJoCo chooses how it draws when it is first imported, by ``MUJOCO_GL``, and so does dm_control. On a machine without a
    display we choose EGL. The import fails where the chosen library is missing. The choice is then ``disable``.
    """
    if sys.platform.startswith("linux") and "DISPLAY" not in os.environ:
        os.environ.setdefault(VARIABLE, "egl")
    try:
        importlib.import_module("mujoco")
    except Exception:  # PyOpenGL raises whatever it stumbles over, such as an AttributeError
        if VARIABLE not in os.environ:
            raise
        os.environ[VARIABLE] = "disable"
        importlib.import_module("mujoco")


_import_mujoco()  # when this module is imported, which is before any other of ours that needs MuJoCo

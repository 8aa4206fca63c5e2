"""Films: draws a model in a sequence of positions, without a display, and writes the pictures to a file."""

import os
import pathlib
import warnings
from typing import Any

import imageio.v3 as iio
import mujoco
import numpy as np

from envs.command import UserError

SUFFIXES = (".mp4", ".gif", ".png")
"""Kinds of files that can be written. A .png holds one picture, that in the middle of the film."""


def write_film(
    out: pathlib.Path,
    model: mujoco.MjModel,
    positions: np.ndarray,
    dt: float,
    camera: str | int | mujoco.MjvCamera = -1,
    fields: dict[str, Any] | None = None,
    width: int = 640,
    height: int = 480,
) -> int:
    """Draws ``model`` in each of ``positions``, writes the pictures as a film, and returns their number.

    Args:
      out: file to write; it ends in one of `SUFFIXES`.
      model: the model. It is not changed.
      positions: ``[n, nq]`` joint positions, ``dt`` seconds apart.
      dt: seconds per picture.
      camera: a camera of the model, by name or number; -1 for one that sees everything that moves (`overview`); or a camera
        of the caller's own.
      fields: fields of the model that differ in this world.
      width: width of a picture (pixels).
      height: height of a picture (pixels).

    Raises:
      UserError: the file is of another kind or cannot be written, or this machine cannot draw.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if out.suffix == ".png":
        positions = positions[len(positions) // 2 :][:1]
    model = model.__copy__()
    for name, value in (fields or {}).items():
        getattr(model, name)[:] = value
    frames = _draw(model, positions, camera, width, height)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(out, frames, fps=round(1 / dt))
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}.") from error
    return len(frames)


def _draw(
    model: mujoco.MjModel, positions: np.ndarray, camera: str | int | mujoco.MjvCamera, width: int, height: int
) -> list[np.ndarray]:
    """Draws one picture ``[height, width, 3]`` uint8 for each position."""
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    data = mujoco.MjData(model)
    try:
        renderer = mujoco.Renderer(model, height, width)
    except Exception as error:  # the GL driver may raise anything
        raise UserError(
            f"no picture can be drawn here: {type(error).__name__} from OpenGL ({os.environ.get('MUJOCO_GL', 'default')}); "
            "without a GPU install Mesa (Debian: libegl1 libopengl0 libgl1-mesa-dri)."
        ) from error
    view = overview(model, positions) if camera == -1 else camera
    frames = []
    with renderer:
        for qpos in positions:
            data.qpos[:] = qpos
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera=view)
            frames.append(renderer.render().copy())
    return frames


def overview(model: mujoco.MjModel, positions: np.ndarray) -> mujoco.MjvCamera:
    """A camera that sees everything that moves, in all ``positions`` ``[n, nq]``. MuJoCo's own sees the whole floor."""
    camera, data = mujoco.MjvCamera(), mujoco.MjData(model)
    mujoco.mjv_defaultFreeCamera(model, camera)
    moving = np.flatnonzero((model.body_weldid[model.geom_bodyid] != 0) & (model.geom_rbound > 0))
    if moving.size:
        places = []
        for qpos in positions:
            data.qpos[:] = qpos
            mujoco.mj_kinematics(model, data)
            places.append(data.geom_xpos[moving].copy())
        reach = model.geom_rbound[moving, None]
        low, high = (np.stack(places) - reach).min(axis=(0, 1)), (np.stack(places) + reach).max(axis=(0, 1))
        camera.lookat[:] = (low + high) / 2
        camera.distance = np.linalg.norm(high - low) / 2 / np.sin(np.deg2rad(model.vis.global_.fovy / 2))
    return camera


def _write(out: pathlib.Path, frames: list[np.ndarray], fps: int) -> None:
    if out.suffix == ".png":
        iio.imwrite(out, frames[0])
    elif out.suffix == ".gif":
        iio.imwrite(out, np.stack(frames), duration=1000 / fps, loop=0)
    else:
        with warnings.catch_warnings():
            # JAX warns of a fork here. It does no harm: the encoder is another program, so an exec follows at once.
            warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
            iio.imwrite(out, np.stack(frames), fps=fps, macro_block_size=1)

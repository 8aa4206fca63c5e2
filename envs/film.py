"""Films: pictures of a model in a row of positions, drawn without a display, and files of them."""

import os
import pathlib
import warnings
from typing import Any

import imageio.v3 as iio
import mujoco
import numpy as np

SUFFIXES = (".mp4", ".gif", ".png")
"""Files that can be written; of a film a .png holds the picture in its middle."""


class FilmError(RuntimeError):
    """A film that cannot be drawn or written; the message is one clear sentence."""


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
    """Draws ``model`` in each of ``positions`` and writes the pictures as a film; returns how many there are.

    Args:
      out: file to write, with one of `SUFFIXES`.
      model: the model; it is left as it is.
      positions: ``[n, nq]`` joint positions, ``dt`` seconds apart.
      dt: seconds per picture.
      camera: the model's camera to look through, or -1 for one that sees all that moves, or one of one's own (`overview`).
      fields: fields of the model that differ in this world.
      width: width of the picture (pixels).
      height: height of the picture (pixels).

    Raises:
      FilmError: a file of another kind, one that cannot be written, or a machine that cannot draw.
    """
    if out.suffix not in SUFFIXES:
        raise FilmError(f"{out} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
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
        raise FilmError(f"{out} cannot be written: {error.strerror or error}") from error
    return len(frames)


def _draw(
    model: mujoco.MjModel, positions: np.ndarray, camera: str | int | mujoco.MjvCamera, width: int, height: int
) -> list[np.ndarray]:
    """``[height, width, 3]`` uint8 per position."""
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    data = mujoco.MjData(model)
    try:
        renderer = mujoco.Renderer(model, height, width)
    except Exception as error:  # whatever the GL driver meets
        raise FilmError(
            f"no picture can be drawn here: {type(error).__name__} from OpenGL ({os.environ.get('MUJOCO_GL', 'default')}); "
            "without a GPU install Mesa (Debian: libegl1 libopengl0 libgl1-mesa-dri)"
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
    """A camera that sees everything that moves, wherever it goes; MuJoCo's own sees the whole floor."""
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
            # The encoder is another program: the fork that JAX warns of is followed by an exec at once.
            warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
            iio.imwrite(out, np.stack(frames), fps=fps, macro_block_size=1)

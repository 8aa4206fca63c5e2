"""Films: draws a model in a sequence of positions, without a display, and writes the pictures to a file one by one."""

import contextlib
import math
import pathlib
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import imageio.v3 as iio
import imageio_ffmpeg
import mujoco
import numpy as np
from rich.console import Console
from rich.progress import track

from envs.base import State
from envs.command import UserError, warn
from envs.engines.support import with_fields
from envs.opengl import drawing
from envs.page import Page, write_page
from envs.poses import own_fields, pose, set_pose

PAGE = ".html"
"""The kind of file that is a page (`envs.page`), in which one turns the scene and moves in time."""

SUFFIXES = (".mp4", ".gif", ".png", PAGE)
"""Kinds of files that can be written. A .png holds one picture, that in the middle of the film."""

MOST_PER_SECOND = {".mp4": 60, ".gif": 50}
"""Most pictures per second of each kind of film.

Screens show 60. A GIF states how long it shows each picture, and programs show it for 100 ms if that is below 20 ms.
"""

LARGEST = 8192
"""Largest width and height of a picture (pixels): more than graphics drivers and encoders can be relied on to take."""

FONT = mujoco.mjtFont.mjFONT_NORMAL.value
"""The font of the return that is written into a film."""

OPTIONS = {
    # Players want this pixel format. Its colours have half the resolution, so that sizes have to be even.
    ".mp4": ("-f", "mp4", "-c:v", "libx264", "-crf", "25", "-pix_fmt", "yuv420p", "-movflags", "+faststart"),
    # A palette of its own for each picture, so that none has to wait until all have been seen.
    ".gif": ("-f", "gif", "-vf", "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1", "-loop", "0"),
}
"""How ffmpeg encodes each kind of film."""


class Film(NamedTuple):
    """A film that was written.

    Attributes:
      frames: number of its pictures.
      width: width of a picture (pixels).
      height: height of a picture (pixels).
    """

    frames: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.frames} frames of {self.width} x {self.height}"


def check_film(out: pathlib.Path, width: int, height: int) -> None:
    """Refuses a film that cannot be made, so that nobody plays an episode for nothing.

    Raises:
      UserError: the file is of another kind, the size is out of range, or this machine cannot draw.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        raise UserError(f"width and height must be from 1 to {LARGEST} pixels, not {width} x {height}.")
    if out.suffix != PAGE:  # which the browser draws
        with drawing(width, height):
            pass


def write_film(
    out: pathlib.Path,
    model: mujoco.MjModel,
    positions: np.ndarray,
    dt: float,
    camera: str | int | mujoco.MjvCamera = -1,
    fields: dict[str, Any] | None = None,
    width: int = 640,
    height: int = 480,
    returns: np.ndarray | None = None,
) -> Film | Page:
    """Draws ``model`` in each of ``positions`` and writes the pictures as a film, at the speed of the positions.

    If ``dt`` is shorter than a player can show a picture (`MOST_PER_SECOND`), only every second, third, ... is drawn.
    An .mp4 has an even width and height: an odd one gets one pixel more. A page (`PAGE`) has all positions and no size.

    Args:
      out: file to write; it ends in one of `SUFFIXES`. It appears when it is complete.
      model: the model. It is not changed.
      positions: ``[n, nq]`` joint positions, ``dt`` seconds apart; or what `envs.poses.pose` gives for each.
      dt: seconds from one position to the next.
      camera: a camera of the model, by name or number; -1 for one that sees everything that moves (`overview`), which is
        also taken if the model has no such camera; or a camera of the caller's own.
      fields: fields of the model that differ in this world.
      width: width of a picture (pixels).
      height: height of a picture (pixels).
      returns: ``[n]`` the return so far, in each of the positions, to be shown; None for none.

    Returns:
      What was written.

    Raises:
      UserError: the film cannot be made (see `check_film`), or the file cannot be written.
    """
    check_film(out, width, height)
    every = 1
    if out.suffix in MOST_PER_SECOND:
        # A hundredth of a picture is forgiven, because dt is rarely a round number in binary.
        every = max(1, math.ceil(1 / (MOST_PER_SECOND[out.suffix] * dt) - 0.01))
    middle = len(positions) // 2
    kept = slice(middle, middle + 1) if out.suffix == ".png" else slice(None, None, every)
    positions, returns = positions[kept], None if returns is None else returns[kept]
    if out.suffix == ".mp4":
        width, height = width + width % 2, height + height % 2
    model = with_fields(model, fields or {})
    film = Film(len(positions), width, height)
    # Only a complete film gets its name.
    part = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.touch()  # before any picture is drawn
            view = view_from(model, camera, positions)
            if out.suffix == PAGE:
                written: Film | Page = write_page(part, out.stem, model, positions, dt, view, returns)
            else:
                written = film
                with contextlib.closing(_draw(model, positions, view, width, height, returns)) as pictures:
                    if out.suffix == ".png":
                        iio.imwrite(part, next(pictures))
                    else:
                        _encode(part, pictures, film, 1 / (every * dt))
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}.") from error
    return written


def picture(model: mujoco.MjModel, state: State, camera: mujoco.MjvCamera, width: int, height: int) -> np.ndarray:
    """Draws one world, in its own model: ``[height, width, 3]`` uint8. The other arguments are those of `write_film`.

    Raises:
      UserError: this machine cannot draw, or not in this size.
    """
    position = np.asarray(pose(model, state))
    frames = _draw(with_fields(model, own_fields(state.info)), position[None], camera, width, height, None)
    with contextlib.closing(frames):
        return next(frames)


def view_from(model: mujoco.MjModel, camera: str | int | mujoco.MjvCamera, positions: np.ndarray) -> mujoco.MjvCamera:
    """A ``camera`` as `write_film` takes it, as one to draw from. It warns if the model has no such camera."""
    if not (isinstance(camera, mujoco.MjvCamera) or has_camera(model, camera)):
        warn(f"this model has no camera {camera!r}: the film is seen from where everything that moves is in view.")
        camera = -1
    return overview(model, positions) if camera == -1 else _own_camera(model, camera)


def has_camera(model: mujoco.MjModel, camera: str | int) -> bool:
    """Whether the model has this camera, by name or number; -1, which sees everything, is in every model."""
    if isinstance(camera, str):
        return mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera) != -1
    return -1 <= camera < model.ncam


def camera_of(model: mujoco.MjModel, own: str | int, asked: str | None) -> str | int:
    """The camera to film from: that which a user asked for, by name or number, or the task's ``own``.

    Raises:
      UserError: the model has no such camera.
    """
    if asked is None:
        return own
    if has_camera(model, asked):
        return asked
    if asked.lstrip("-").isdecimal() and has_camera(model, int(asked)):
        return int(asked)
    names = [model.camera(i).name or str(i) for i in range(model.ncam)]
    raise UserError(f"this model has no camera {asked!r}; choose one of: {', '.join([*names, '-1'])}.")


def overview(model: mujoco.MjModel, positions: np.ndarray) -> mujoco.MjvCamera:
    """A camera that sees everything that moves, in all ``positions`` ``[n, nq]``. MuJoCo's own sees the whole floor."""
    camera, data = mujoco.MjvCamera(), mujoco.MjData(model)
    mujoco.mjv_defaultFreeCamera(model, camera)
    moving = np.flatnonzero((model.body_weldid[model.geom_bodyid] != 0) & (model.geom_rbound > 0))
    if moving.size:
        reach = model.geom_rbound[moving, None]
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        for qpos in positions:
            set_pose(data, qpos)
            mujoco.mj_kinematics(model, data)
            places = data.geom_xpos[moving]
            # What is not a number, as after a blow-up, is passed over.
            low, high = np.fmin(low, np.fmin.reduce(places - reach)), np.fmax(high, np.fmax.reduce(places + reach))
    if moving.size and np.isfinite([low, high]).all():
        camera.lookat[:] = (low + high) / 2
        camera.distance = np.linalg.norm(high - low) / 2 / np.sin(np.deg2rad(model.vis.global_.fovy / 2))
    return camera


def _own_camera(model: mujoco.MjModel, camera: str | int | mujoco.MjvCamera) -> mujoco.MjvCamera:
    """A camera of the model, named or numbered, as one to draw from; a camera of the caller's own as it is."""
    if isinstance(camera, mujoco.MjvCamera):
        return camera
    fixed = mujoco.MjvCamera()
    fixed.type = mujoco.mjtCamera.mjCAMERA_FIXED
    fixed.fixedcamid = model.camera(camera).id
    return fixed


def _draw(
    model: mujoco.MjModel,
    positions: np.ndarray,
    camera: mujoco.MjvCamera,
    width: int,
    height: int,
    returns: np.ndarray | None,
) -> Generator[np.ndarray, None, None]:
    """Draws one picture ``[height, width, 3]`` uint8 for each position, when it is asked for.

    Raises:
      UserError: this machine cannot draw.
    """
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    data, option, area = mujoco.MjData(model), mujoco.MjvOption(), mujoco.MjrRect(0, 0, width, height)
    scene = mujoco.MjvScene(model, maxgeom=10_000)
    with drawing(width, height):
        try:
            context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        except mujoco.FatalError as error:
            raise UserError(f"no picture of {width} x {height} can be drawn here: {error} (from OpenGL).") from error
        try:
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, context)
            for i, row in enumerate(positions):
                set_pose(data, row)
                mujoco.mj_forward(model, data)
                mujoco.mjv_updateScene(model, data, option, None, camera, mujoco.mjtCatBit.mjCAT_ALL.value, scene)
                mujoco.mjr_render(area, scene, context)
                if returns is not None:
                    corner = mujoco.mjtGridPos.mjGRID_TOPLEFT.value
                    mujoco.mjr_overlay(FONT, corner, area, "return", f"{returns[i]:.1f}", context)
                picture = np.empty((height, width, 3), np.uint8)
                mujoco.mjr_readPixels(picture, None, area, context)
                yield np.ascontiguousarray(picture[::-1])  # OpenGL begins with the lowest row
        finally:
            context.free()


def _encode(out: pathlib.Path, pictures: Iterator[np.ndarray], film: Film, fps: float) -> None:
    """Hands each picture to ffmpeg as soon as it is drawn. A terminal shows how far it is.

    Raises:
      OSError: ffmpeg cannot be started, failed, or did not write all pictures. The text is the last line of what it said.
    """
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{film.width}x{film.height}", "-r", f"{fps:.6f}", "-i", "-")
    try:
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:  # there is no build for this machine
        raise OSError(str(error).rstrip(".")) from error
    command = [ffmpeg, "-y", "-v", "error", *raw, *OPTIONS[out.suffix], str(out.absolute())]
    console = Console(stderr=True)
    with tempfile.TemporaryFile() as said:
        # In a session of its own, so that Ctrl-C reaches only us.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said, start_new_session=True)
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                for picture in track(
                    pictures,
                    f"Filming {film}",
                    film.frames,
                    console=console,
                    disable=not console.is_terminal,
                    transient=True,
                ):
                    pipe.write(picture.data)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise OSError(f"ffmpeg: {lines[-1] if lines else f'exit code {process.returncode}'}")
    # One line for each picture that is in the file.
    count = [ffmpeg, "-v", "error", "-i", str(out.absolute()), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-"]
    counted = subprocess.run(count, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout.splitlines()
    written = sum(not line.startswith(b"#") for line in counted)
    if written != film.frames:
        raise OSError(f"ffmpeg wrote {written} of {film.frames} pictures")

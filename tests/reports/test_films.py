"""Films: what others' recorders got wrong. The pictures are tiny, since OpenGL without a GPU is slow."""

import os
import pathlib
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator

import imageio_ffmpeg
import mujoco
import numpy as np
import pytest
from PIL import Image

from envs.command import UserError
from envs.film import Film, write_film
from eval import render

pytestmark = pytest.mark.usefixtures("draws")

MODEL = mujoco.MjModel.from_xml_string("""
<mujoco><visual><global offwidth="20" offheight="20"/></visual><worldbody>
  <light pos="0 0 3"/><camera name="track" pos="0 -3 0" xyaxes="1 0 0 0 0 1"/>
  <body><joint type="slide" axis="1 0 0"/><geom size=".3" rgba="1 0 0 1"/></body>
</worldbody></mujoco>""")
"""A ball on a rail. The framebuffer that it asks for is smaller than all films here."""


def film(out: pathlib.Path, frames: int, dt: float, width: int = 32, height: int = 24, **camera: str | int) -> Film:
    """Films the ball while it moves at 1 m/s, for ``frames`` positions ``dt`` seconds apart."""
    positions = np.arange(frames)[:, None] * dt
    return write_film(out, MODEL, positions, dt, width=width, height=height, **camera)


def probe(path: pathlib.Path) -> dict[str, object]:
    """What ffmpeg says of a film: ``size``, ``fps``, ``duration`` (s)."""
    reader = imageio_ffmpeg.read_frames(path)
    try:
        return next(reader)
    finally:
        reader.close()


def pictures(path: pathlib.Path) -> Iterator[tuple[int, np.ndarray]]:
    """The delay (ms) and the picture, for each picture of a GIF."""
    with Image.open(path) as gif:
        for i in range(gif.n_frames):
            gif.seek(i)
            yield gif.info["duration"], np.asarray(gif.convert("RGB"))


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("frames", [1, 2, 40])
def test_an_mp4_of_odd_size_gets_one_pixel_more(tmp_path: pathlib.Path, frames: int) -> None:
    """imageio PR#96, kernel-images PR#246: x264 takes even sizes only."""
    out = tmp_path / "odd.mp4"
    assert film(out, frames, 0.05, width=33, height=25) == Film(frames, 34, 26)
    assert probe(out)["size"] == (34, 26)
    assert imageio_ffmpeg.count_frames_and_secs(out)[0] == frames
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_other_kinds_keep_their_odd_size(tmp_path: pathlib.Path, suffix: str) -> None:
    """kernel-images PR#246: only x264 needs even sizes."""
    out = tmp_path / f"odd{suffix}"
    assert film(out, 3, 0.05, width=33, height=25)[1:] == (33, 25)
    with Image.open(out) as image:
        assert image.size == (33, 25)


@pytest.mark.parametrize("size", [(0, 24), (32, -2), (32, 100_000)])
def test_a_size_that_cannot_be_drawn_is_refused(tmp_path: pathlib.Path, size: tuple[int, int]) -> None:
    """kernel-images PR#246: a size that the encoder refuses has to be refused first."""
    with pytest.raises(UserError, match="width and height must be from 1 to"):
        film(tmp_path / "film.mp4", 3, 0.05, *size)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", ["exit 0", "cat >/dev/null", "echo; echo no space left >&2; exit 1"])
def test_an_encoder_that_fails_leaves_no_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """imageio PR#96: ffmpeg ends early, and the file is empty. A film that is there already stays as it is."""
    ffmpeg, out = tmp_path / "ffmpeg", tmp_path / "films" / "film.mp4"
    film(out, 2, 0.05)
    before = out.read_bytes()
    ffmpeg.write_text(f"#!/bin/sh\n{script}\n")
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(ffmpeg))
    with pytest.raises(
        UserError, match=r"film\.mp4 cannot be written: ffmpeg(: no space left| wrote 0 of 200 pictures)\."
    ) as e:
        film(out, 200, 0.05)
    assert "\n" not in str(e.value)
    assert list(out.parent.iterdir()) == [out]
    assert out.read_bytes() == before


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_memory_does_not_grow_with_the_length_of_a_film(
    tmp_path: pathlib.Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gymnasium#714, IsaacLab-Arena PR#1000: recorders keep all pictures in memory."""
    monkeypatch.setattr(mujoco, "mjr_render", lambda *args: None)  # slow, and of no use here
    picture, peaks = 192 * 144 * 3, []
    for frames in (20, 20, 80):  # the first also pays for what is made only once
        tracemalloc.start()
        try:
            film(tmp_path / f"film{suffix}", frames, 0.05, 192, 144)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[2] - peaks[1] < 3 * picture


@pytest.mark.parametrize("dt", [0.002, 0.005, 0.008, 0.015, 0.02, 0.05, 0.125])
def test_a_gif_has_the_right_speed_in_every_player(tmp_path: pathlib.Path, dt: float) -> None:
    """imageio#919, image-gif#137, loco-mujoco#45: players show pictures for 100 ms whose delay is below 20 ms."""
    positions = 61 if dt < 0.01 else 13
    written = film(tmp_path / "film.gif", positions, dt)
    delays, frames = zip(*pictures(tmp_path / "film.gif"), strict=True)
    assert len(delays) == written.frames
    assert min(delays) >= 20
    assert sum(delays) / 1000 == pytest.approx(positions * dt, abs=max(0.02, 1.5 * delays[0] / 1000))
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50  # the ball moved
    if dt >= 0.02:
        assert written.frames == positions


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(
    ("dt", "fps"), [(0.002, 500 / 9), (0.008, 125 / 3), (1 / 60, 60), (0.015, 100 / 3), (0.05, 20), (2.0, 0.5)]
)
def test_an_mp4_has_the_right_speed_and_at_most_60_pictures_per_second(
    tmp_path: pathlib.Path, dt: float, fps: float
) -> None:
    """loco-mujoco#45: a task of 500 steps per second makes a film that no screen can show."""
    film(tmp_path / "film.mp4", 19, dt)
    assert probe(tmp_path / "film.mp4")["fps"] == pytest.approx(fps, abs=0.01)


@pytest.mark.parametrize("camera", ["side", 3, -2])
def test_a_camera_that_the_model_lacks_gives_way_to_one_that_sees_everything(
    tmp_path: pathlib.Path, camera: str | int, capsys: pytest.CaptureFixture[str]
) -> None:
    """mujoco_playground#12: the fixed camera's name is not in this model."""
    film(tmp_path / "free.png", 3, 0.05)
    film(tmp_path / "fixed.png", 3, 0.05, camera="track")
    assert capsys.readouterr().err == ""
    film(tmp_path / "lacking.png", 3, 0.05, camera=camera)
    assert f"this model has no camera {camera!r}" in capsys.readouterr().err
    free, fixed, lacking = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("free", "fixed", "lacking"))
    np.testing.assert_array_equal(lacking, free)
    assert (fixed != free).any()


@pytest.mark.parametrize(
    ("order", "variables"),
    [
        ("import mujoco, envs", {}),
        ("import mujoco, envs", {"MUJOCO_GL": "disable"}),
        ("import envs, mujoco", {"MUJOCO_GL": "egl"}),
    ],
)
def test_the_order_of_imports_does_not_matter(tmp_path: pathlib.Path, order: str, variables: dict[str, str]) -> None:
    """mujocolab/mjlab PR#1036, strands-labs/robots#3954: MUJOCO_GL is set too late after ``import mujoco``."""
    out = tmp_path / "film.png"
    code = f"""{order}, pathlib, os
from envs.film import write_film
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
before = os.environ.get("MUJOCO_GL")
print(write_film(pathlib.Path({str(out)!r}), model, model.qpos0[None], 0.1, width=16, height=16))
assert os.environ.get("MUJOCO_GL") == before
"""
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")} | variables
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("1 frames of 16 x 16\n", "")
    assert out.is_file()


def test_a_terminal_shows_how_far_a_film_is(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gymnasium#714: minutes pass without a sign of life while a long film is drawn."""
    film(tmp_path / "film.gif", 3, 0.05)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # how rich is told that it writes to a terminal
    film(tmp_path / "film.gif", 3, 0.05)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Filming 3 frames" in err
    assert "100%" in err


def test_a_film_that_cannot_be_made_is_refused_before_anything_is_played(
    tmp_path: pathlib.Path, tiny_run: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """kernel-images PR#246: the size is refused first."""
    monkeypatch.setattr(render, "play", lambda *args: pytest.fail("an episode was played"))
    assert render.main([str(tiny_run), "--out", str(tmp_path / "film.mp4"), "--width", "0"]) == 2
    assert "width and height must be from 1" in capsys.readouterr().err

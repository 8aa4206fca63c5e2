"""Films as pages: what is in the file, and what a browser makes of it."""

import base64
import json
import pathlib
import re
import zlib
from typing import Any

import mujoco
import numpy as np
import pytest
from PIL import Image

import envs
from envs import film as film_module
from envs.command import UserError
from envs.film import camera_of, write_film
from envs.page import Page
from envs.poses import set_pose
from tests.browser import browser, screenshot

MODEL = mujoco.MjModel.from_xml_string("""
<mujoco><asset>
  <texture name="squares" type="2d" builtin="checker" width="8" height="8" rgb1="0 0 0" rgb2="1 1 1"/>
  <texture name="blue" type="cube" builtin="flat" width="4" height="4" rgb1="0 0 1" rgb2="0 0 1"/>
  <material name="ground" texture="squares" texrepeat="4 4"/><material name="blue" texture="blue"/>
  <mesh name="pyramid" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/>
  <hfield name="hill" nrow="3" ncol="4" size="2 1 .5 .1" elevation="0 0 0 0  0 1 1 0  0 0 0 0"/>
</asset><worldbody>
  <light pos="0 0 3"/><camera name="still" pos="0 -3 0" xyaxes="1 0 0 0 0 1"/>
  <geom type="plane" size="4 5 .1" pos="0 0 -1" material="ground"/>
  <geom type="hfield" hfield="hill" pos="0 9 -1"/>
  <body name="ball"><joint type="slide" axis="1 0 0"/><joint axis="1 2 3"/>
    <geom size=".3" rgba="1 0 0 1"/><site name="here" pos=".1 0 0"/><geom type="box" size=".1 .1 .1" rgba="0 0 0 0"/>
    <geom type="ellipsoid" size=".1 .2 .3" group="4"/></body>
  <body pos="0 0 5" mocap="true" name="hand"><geom type="mesh" mesh="pyramid" material="blue"/><site name="there"/></body>
</worldbody>
<tendon><spatial width=".01" rgba="0 1 0 1"><site site="here"/><site site="there"/></spatial></tendon></mujoco>""")
"""A red ball on a rail, tied to a pyramid that a mocap body carries. Two of its geoms are invisible."""


def rows(number: int) -> np.ndarray:
    """Poses in which the ball moves 1 m to the right, and the pyramid upwards."""
    part = np.linspace(0, 1, number)[:, None]
    hand = np.concatenate([np.zeros((number, 2)), 5 + part, np.tile([1.0, 0, 0, 0], (number, 1))], axis=1)
    return np.concatenate([part, 3 * part, hand], axis=1)


def read(path: pathlib.Path) -> tuple[dict[str, Any], bytes]:
    """The scene of a page, and its block of arrays."""
    text = path.read_text(encoding="utf-8")
    scene, data = (re.search(rf'<script type="\S+" id="{name}">(.*?)</script>', text, re.S)[1] for name in ("scene", "data"))
    return json.loads(scene), zlib.decompress(base64.b64decode(data))


def table(block: bytes, entry: dict[str, Any]) -> np.ndarray:
    """A table of numbers ``[rows, columns]``."""
    columns = len(entry["low"])
    kept = np.frombuffer(block, "<u2", entry["rows"] * columns, entry["at"]).reshape(columns, entry["rows"])
    return (np.cumsum(kept, axis=1, dtype=np.uint16).T * np.array(entry["step"])) + entry["low"]


def faces(block: bytes, entry: dict[str, int]) -> np.ndarray:
    """Triangles ``[n, 3]``."""
    return np.cumsum(np.frombuffer(block, "<i4", 3 * entry["count"], entry["at"])).reshape(-1, 3)


def test_poses_come_back_from_the_file(tmp_path: pathlib.Path) -> None:
    out, positions = tmp_path / "film.html", rows(40)
    written = write_film(out, MODEL, positions, 0.05, returns=np.arange(40) / 4)
    assert written == Page(40, out.stat().st_size)
    assert list(tmp_path.iterdir()) == [out]
    scene, block = read(out)
    assert (scene["title"], scene["dt"], scene["frames"]) == ("film", 0.05, 40)
    assert scene["returns"][:3] == ["0.0", "0.2", "0.5"]
    poses, data = table(block, scene["poses"]).reshape(40, -1, 7), mujoco.MjData(MODEL)
    shapes = {shape["kind"]: shape for shape in reversed(scene["shapes"])}  # sites come last
    ends = table(block, scene["strings"]["ends"])
    for i, row in enumerate(positions):
        set_pose(data, row)
        mujoco.mj_kinematics(MODEL, data)
        for kind, body in (("sphere", "ball"), ("mesh", "hand"), ("plane", "world")):
            expected = np.concatenate([data.body(body).xpos, data.body(body).xquat])
            np.testing.assert_allclose(poses[i, shapes[kind]["body"]], expected, atol=2e-5)
        np.testing.assert_allclose(ends[i], [*data.site("here").xpos, *data.site("there").xpos], atol=2e-5)


def test_what_is_visible_is_in_the_page_in_its_colours(tmp_path: pathlib.Path) -> None:
    write_film(tmp_path / "film.html", MODEL, rows(2), 0.05)
    scene, block = read(tmp_path / "film.html")
    kinds = [shape["kind"] for shape in scene["shapes"]]
    assert sorted(kinds) == ["hfield", "mesh", "plane", "sphere", "sphere", "sphere"]  # two are sites
    by_kind = dict(zip(kinds, scene["shapes"], strict=True))
    assert by_kind["mesh"]["rgba"] == [0, 0, 1, 1]  # the mean of its texture
    assert by_kind["plane"]["repeat"] == pytest.approx([4 / 8, 4 / 10], rel=1e-5)
    picture = scene["textures"][by_kind["plane"]["texture"]]
    pixels = np.frombuffer(block, np.uint8, 3 * picture["width"] * picture["height"], picture["at"])
    assert (pixels.size, set(pixels)) == (8 * 8 * 3, {0, 255})
    mesh = scene["meshes"][by_kind["mesh"]["mesh"]]
    np.testing.assert_allclose(table(block, mesh["vertices"]), MODEL.mesh_vert, atol=2e-5)
    np.testing.assert_array_equal(faces(block, mesh["faces"]), MODEL.mesh_face)
    hill = scene["meshes"][by_kind["hfield"]["mesh"]]
    vertices, corners = table(block, hill["vertices"]), faces(block, hill["faces"])
    np.testing.assert_allclose(vertices[[0, 5, 11]], [[-2, -1, 0], [-2 / 3, 0, 0.5], [2, 1, 0]], atol=1e-4)
    assert corners.shape == (12, 3)
    a, b, c = vertices[corners].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()  # seen from above


def test_the_page_needs_no_network(tmp_path: pathlib.Path) -> None:
    write_film(tmp_path / "film.html", MODEL, rows(3), 0.05)
    text = (tmp_path / "film.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text  # with which a browser refuses to load anything
    code = re.sub(r'(?s)<script type="text/plain".*?</script>', "", text)
    for word in ("http:", "https:", "//www", " src=", "href=", "url(", "fetch(", "import(", "{{"):
        assert word not in code


def test_a_page_needs_no_opengl(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: int) -> None:
        raise UserError("no OpenGL")

    monkeypatch.setattr(film_module, "drawing", refuse)
    assert isinstance(write_film(tmp_path / "film.html", MODEL, rows(3), 0.05), Page)
    with pytest.raises(UserError, match="no OpenGL"):
        write_film(tmp_path / "film.png", MODEL, rows(3), 0.05)


def test_a_state_that_is_not_finite_is_written(tmp_path: pathlib.Path) -> None:
    positions = rows(3)
    positions[2, :2] = np.nan, 1e9
    write_film(tmp_path / "film.html", MODEL, positions, 0.05)
    scene, block = read(tmp_path / "film.html")
    assert np.isfinite(table(block, scene["poses"])).all()


@pytest.mark.parametrize(
    "name", ["half_cheetah", "humanoid", "pusher", "reacher", "dmc/ball_in_cup-catch", "dmc/dog-run", "dmc/fish-swim"]
)
def test_tasks_can_be_written(name: str, tmp_path: pathlib.Path) -> None:
    if name.startswith("dmc/"):
        pytest.importorskip("dm_control")
    env = envs.make(name, physics="native")
    write_film(tmp_path / "film.html", env.model, env.model.qpos0[None].repeat(3, 0), env.dt, camera=env.camera)
    scene, block = read(tmp_path / "film.html")
    assert len(scene["shapes"]) > 5
    assert len(scene["skins"]) == env.model.nskin
    for skin in scene["skins"]:  # the weights of each vertex sum to 1
        sums = np.zeros(skin["vertices"]["rows"])
        for bone in skin["bones"]:
            number, weight = table(block, bone["weights"]).T
            np.add.at(sums, np.rint(number).astype(int), weight)
        np.testing.assert_allclose(sums, 1, atol=1e-3)


def test_a_camera_that_moves_is_followed(tmp_path: pathlib.Path) -> None:
    env = envs.make("half_cheetah", physics="native")
    positions = env.model.qpos0[None].repeat(3, 0)
    positions[:, 0] += [0, 1, 2]
    for camera, following in ((env.camera, True), (-1, False)):
        write_film(tmp_path / "film.html", env.model, positions, env.dt, camera=camera)
        scene, block = read(tmp_path / "film.html")
        assert scene["following"] is following
        followed = table(block, scene["poses"])[:, 7 * scene["follow"]]
        np.testing.assert_allclose(followed - followed[0], [0, 1, 2], atol=1e-4)


def test_a_camera_is_asked_for_by_name_or_number() -> None:
    assert camera_of(MODEL, "own", None) == "own"
    assert camera_of(MODEL, -1, "still") == "still"
    assert (camera_of(MODEL, "own", "0"), camera_of(MODEL, "own", "-1")) == (0, -1)
    with pytest.raises(UserError, match="no camera 'side'; choose one of: still, -1"):
        camera_of(MODEL, -1, "side")


@pytest.mark.slow
@pytest.mark.usefixtures("draws")
def test_a_browser_draws_what_mujoco_draws(tmp_path: pathlib.Path) -> None:
    page, positions = tmp_path / "film.html", rows(11)
    write_film(page, MODEL, positions, 0.1, camera="still")
    program, places = browser(), []
    for frame in (0, 10):
        seen = screenshot(program, page, frame * 0.1)
        seen = seen[: int((seen[:, 1] < 255).any(axis=1).sum())]  # below is the bar, which is white
        still = tmp_path / "still.png"
        height, width = seen.shape[:2]
        write_film(still, MODEL, positions[frame : frame + 1], 0.1, camera="still", width=width, height=height)
        red = []
        for picture in (seen, np.asarray(Image.open(still)).astype(int)):
            red.append((picture[..., 0] > 50) & (picture[..., 1:].max(axis=-1) < 0.5 * picture[..., 0]))
        assert red[1].sum() > 200
        assert (red[0] & red[1]).sum() > 0.85 * (red[0] | red[1]).sum()
        places.append(np.argwhere(red[0]).mean(axis=0)[1])
        assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 50
    assert places[1] - places[0] > 30  # the ball moved

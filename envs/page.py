"""A film as a web page: one file that any browser opens without a network, in which one turns the scene and moves in time.

The page is ``page.html`` with the scene and the poses put into it. The scene is JSON. All long arrays follow each other in
one block of bytes, which is compressed (zlib) and written in base64:

* A table of numbers holds, column by column, each number in 16 bits between the least and the largest of its column, as the
  difference from the number before (modulo 2^16). So what stands still takes hardly any room.
* The corners of triangles are 32-bit integers, each as the difference from the one before.
* The pixels of a texture are bytes.
"""

import base64
import html
import importlib.resources
import json
import math
import pathlib
import zlib
from typing import Any, NamedTuple

import mujoco
import numpy as np

from envs.poses import set_pose

TEMPLATE = "page.html"
"""The page without a scene, beside this module."""

SHAPES = {
    mujoco.mjtGeom.mjGEOM_PLANE: "plane",
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: "ellipsoid",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_BOX: "box",
    mujoco.mjtGeom.mjGEOM_MESH: "mesh",
    mujoco.mjtGeom.mjGEOM_SDF: "mesh",
    mujoco.mjtGeom.mjGEOM_HFIELD: "hfield",
}
"""The types of geoms and sites, and the page's words for them. Its script makes the first six; the others are triangles."""

LARGEST_TEXTURE = 256
"""Largest width and height (pixels) of the texture of a plane in the page; a larger one is thinned out."""


class Page(NamedTuple):
    """A page that was written.

    Attributes:
      frames: number of its poses.
      size: size of the file (bytes).
    """

    frames: int
    size: int

    def __str__(self) -> str:
        return f"{self.frames} frames, {self.size / 1e6:.2f} MB"


def write_page(
    out: pathlib.Path,
    title: str,
    model: mujoco.MjModel,
    positions: np.ndarray,
    dt: float,
    camera: mujoco.MjvCamera,
    returns: np.ndarray | None = None,
) -> Page:
    """Writes ``model`` in each of ``positions`` as a page. Nothing is drawn here, so no OpenGL is needed.

    Soft bodies (flexes) and the textures of what is not a plane are not shown: such things have the mean colour of their
    texture.

    Args:
      out: file to write.
      title: what the page is called.
      model: the model.
      positions: ``[n, nq]`` or more numbers, ``dt`` seconds apart; see `envs.poses.set_pose`.
      dt: seconds from one position to the next.
      camera: from where the page shows the scene at first. A camera of the model that moves is followed.
      returns: ``[n]`` the return so far; None if there is none to show.

    Returns:
      What was written.

    Raises:
      OSError: the file cannot be written.
    """
    block = _Block()
    scene = _scene(block, model, positions, camera)
    scene |= {"title": title, "dt": dt, "frames": len(positions)}
    scene["returns"] = None if returns is None else [f"{x:.1f}" for x in returns]
    page = importlib.resources.files("envs").joinpath(TEMPLATE).read_text(encoding="utf-8")
    texts = {
        "{{title}}": html.escape(title),
        # A script may end at any "<", also within a string.
        "{{scene}}": json.dumps(scene, allow_nan=False).replace("<", "\\u003c"),
        "{{data}}": base64.b64encode(zlib.compress(bytes(block), 9)).decode(),
    }
    for mark, text in texts.items():
        page = page.replace(mark, text)
    return Page(len(positions), out.write_bytes(page.encode()))


class _Block(bytearray):
    """The long arrays of a page, one after the other."""

    def add(self, array: np.ndarray) -> int:
        """Adds an array. Returns where it begins (bytes), which is where any number may begin."""
        self.extend(bytes(-len(self) % 4))
        at = len(self)
        self.extend(array.tobytes())
        return at

    def table(self, rows: np.ndarray) -> dict[str, Any]:
        """Adds numbers ``[rows, columns]``. What is not finite becomes 0."""
        rows = np.nan_to_num(np.asarray(rows, np.float64), posinf=0.0, neginf=0.0)
        low = rows.min(axis=0)
        step = (rows.max(axis=0) - low) / 65535
        numbers = np.rint((rows - low) / np.where(step > 0, step, 1)).astype(np.int64)
        differences = np.diff(numbers, axis=0, prepend=0).astype("<u2")
        return {"at": self.add(differences.T), "rows": len(rows), "low": low.tolist(), "step": step.tolist()}

    def faces(self, corners: np.ndarray) -> dict[str, int]:
        """Adds triangles ``[n, 3]``, each of three numbers of vertices."""
        return {"at": self.add(np.diff(corners.ravel().astype("<i4"), prepend=0).astype("<i4")), "count": len(corners)}


def _scene(block: _Block, model: mujoco.MjModel, positions: np.ndarray, camera: mujoco.MjvCamera) -> dict[str, Any]:
    """What the page shows. `SHAPES` says how; the keys of the dictionary are the page's."""
    data, option = mujoco.MjData(model), mujoco.MjvOption()
    set_pose(data, positions[0])
    _move(model, data)
    # MuJoCo's own list of what is visible, and in which colours.
    visible = mujoco.MjvScene(model, maxgeom=10_000)
    mujoco.mjv_updateScene(model, data, option, None, camera, mujoco.mjtCatBit.mjCAT_ALL.value, visible)
    meshes, textures, bodies = _Meshes(block, model), _Textures(block, model), _Bodies()
    shapes, skins = [], []
    tendons: dict[int, list[float]] = {}
    for thing in visible.geoms[: visible.ngeom]:
        rgba = _color(model, thing)
        kind = mujoco.mjtObj(thing.objtype)
        if kind in (mujoco.mjtObj.mjOBJ_GEOM, mujoco.mjtObj.mjOBJ_SITE):
            name = "geom" if kind == mujoco.mjtObj.mjOBJ_GEOM else "site"
            body, shape, size, place, turned = (
                getattr(model, f"{name}_{field}")[thing.objid] for field in ("bodyid", "type", "size", "pos", "quat")
            )
            word = SHAPES[mujoco.mjtGeom(shape)]
            picture = textures.of(thing) if word == "plane" else None
            shapes.append(
                {
                    "body": bodies.number(body),
                    "kind": word,
                    "size": _short(size),
                    "pos": _short(place),
                    "quat": _short(turned),
                    "rgba": _short(rgba),
                    "mesh": meshes.number(word, model.geom_dataid[thing.objid]) if word in ("mesh", "hfield") else None,
                    "texture": picture,
                    "repeat": None if picture is None else _repeat(model, thing.matid, size),
                }
            )
        elif kind == mujoco.mjtObj.mjOBJ_TENDON:
            tendons.setdefault(thing.objid, _short(rgba))
        elif kind == mujoco.mjtObj.mjOBJ_SKIN:
            skins.append(_skin(block, model, thing.objid, rgba, bodies))
    followed = _followed(model, camera)
    first = _orbit(model, data, camera, followed)
    follow = None if followed is None else bodies.number(followed)
    poses, (ends, owners), moves = _record(model, data, positions, list(bodies), list(tendons), camera)
    strings = {
        "ends": block.table(ends),
        "width": _short(model.tendon_width[owners]),
        "rgba": [tendons[owner] for owner in owners],
    }
    return {
        "camera": first,
        "follow": follow,
        "following": moves,
        "shapes": shapes,
        "meshes": meshes.made,
        "textures": textures.made,
        "skins": skins,
        "strings": strings if owners else None,
        "poses": block.table(poses),
    }


def _move(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Computes where everything is that is drawn; no more, because a state that blew up may not stand collisions."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    mujoco.mj_tendon(model, data)


class _Bodies(dict[int, int]):
    """The bodies that a page needs, and the number of each in the page."""

    def number(self, body: int) -> int:
        """The number of a body, which is in the page from now on."""
        return self.setdefault(int(body), len(self))


class _Meshes:
    """The triangles that a page needs."""

    def __init__(self, block: _Block, model: mujoco.MjModel):
        self.block, self.model = block, model
        self.made: list[dict[str, Any]] = []
        self.numbers: dict[tuple[str, int], int] = {}

    def number(self, kind: str, index: int) -> int:
        """The number of a mesh or a height field in the page."""
        key = kind, int(index)
        if key not in self.numbers:
            self.numbers[key] = len(self.made)
            vertices, corners = (self._mesh if kind == "mesh" else self._height_field)(key[1])
            self.made.append({"vertices": self.block.table(vertices), "faces": self.block.faces(corners)})
        return self.numbers[key]

    def _mesh(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Vertices ``[n, 3]`` and triangles ``[m, 3]``."""
        model = self.model
        vertices = model.mesh_vert[model.mesh_vertadr[index] :][: model.mesh_vertnum[index]]
        return vertices, model.mesh_face[model.mesh_faceadr[index] :][: model.mesh_facenum[index]]

    def _height_field(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The same of the surface of a height field, without its sides."""
        model = self.model
        rows, columns = model.hfield_nrow[index], model.hfield_ncol[index]
        x, y, height, _ = model.hfield_size[index]
        heights = model.hfield_data[model.hfield_adr[index] :][: rows * columns]
        ys, xs = np.meshgrid(np.linspace(-y, y, rows), np.linspace(-x, x, columns), indexing="ij")
        corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
        halves = np.array([[0, 1, columns + 1], [0, columns + 1, columns]])
        return np.stack([xs.ravel(), ys.ravel(), heights * height], axis=1), (corner[:, None, None] + halves).reshape(-1, 3)


class _Textures:
    """The pictures that a page needs."""

    def __init__(self, block: _Block, model: mujoco.MjModel):
        self.block, self.model = block, model
        self.made: list[dict[str, int]] = []
        self.numbers: dict[int, int] = {}

    def of(self, thing: mujoco.MjvGeom) -> int | None:
        """The number in the page of the flat texture of a plane; None if it has none."""
        index = _texture(self.model, thing.matid)
        if index == -1 or not _is_flat(self.model, index):
            return None
        if index not in self.numbers:
            self.numbers[index] = len(self.made)
            picture = _pixels(self.model, index)
            every = math.ceil(max(picture.shape[:2]) / LARGEST_TEXTURE)
            picture = np.ascontiguousarray(picture[::every, ::every])
            self.made.append({"at": self.block.add(picture), "height": picture.shape[0], "width": picture.shape[1]})
        return self.numbers[index]


def _texture(model: mujoco.MjModel, material: int) -> int:
    """The number of a material's texture; -1 if it has none, or if there is no material."""
    return -1 if material == -1 else int(model.mat_texid[material][mujoco.mjtTextureRole.mjTEXROLE_RGB.value])


def _is_flat(model: mujoco.MjModel, texture: int) -> bool:
    """Whether a texture is one picture, not the six sides of a cube."""
    return bool(model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_2D)


def _pixels(model: mujoco.MjModel, texture: int) -> np.ndarray:
    """A texture as a picture ``[height, width, 3]`` uint8."""
    height, width, channels = (int(getattr(model, f"tex_{name}")[texture]) for name in ("height", "width", "nchannel"))
    pixels = model.tex_data[model.tex_adr[texture] :][: height * width * channels].reshape(height, width, channels)
    return np.repeat(pixels, 3, axis=2) if channels == 1 else pixels[..., :3]


def _color(model: mujoco.MjModel, thing: mujoco.MjvGeom) -> np.ndarray:
    """The colour ``[4]`` of a thing, with the mean of its texture unless the page has the texture itself."""
    rgba, texture = thing.rgba.copy(), _texture(model, thing.matid)
    if texture != -1 and not (thing.type == mujoco.mjtGeom.mjGEOM_PLANE and _is_flat(model, texture)):
        rgba[:3] *= _pixels(model, texture).mean(axis=(0, 1)) / 255
    return rgba


def _repeat(model: mujoco.MjModel, material: int, size: np.ndarray) -> list[float]:
    """How many times the texture of a plane is repeated per metre, along x and y. A side of size 0 is infinite."""
    by_size = np.where(model.mat_texuniform[material] | (size[:2] <= 0), 1, size[:2])
    return _short(model.mat_texrepeat[material] / 2 / by_size)


def _skin(block: _Block, model: mujoco.MjModel, index: int, rgba: np.ndarray, bodies: _Bodies) -> dict[str, Any]:
    """A skin: its vertices, and for each of its bones those that it moves, with their weights."""
    vertices = model.skin_vert[model.skin_vertadr[index] :][: model.skin_vertnum[index]]
    corners = model.skin_face[model.skin_faceadr[index] :][: model.skin_facenum[index]]
    bones = []
    for bone in range(model.skin_boneadr[index], model.skin_boneadr[index] + model.skin_bonenum[index]):
        part = slice(model.skin_bonevertadr[bone], model.skin_bonevertadr[bone] + model.skin_bonevertnum[bone])
        bones.append(
            {
                "body": bodies.number(model.skin_bonebodyid[bone]),
                "pos": model.skin_bonebindpos[bone].tolist(),
                "quat": model.skin_bonebindquat[bone].tolist(),
                "weights": block.table(np.stack([model.skin_bonevertid[part], model.skin_bonevertweight[part]], axis=1)),
            }
        )
    return {"vertices": block.table(vertices), "faces": block.faces(corners), "bones": bones, "rgba": _short(rgba)}


def _record(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    positions: np.ndarray,
    bodies: list[int],
    tendons: list[int],
    camera: mujoco.MjvCamera,
) -> tuple[np.ndarray, tuple[np.ndarray, list[int]], bool]:
    """What changes with time.

    Returns:
      The position and the quaternion of each of ``bodies``, ``[n, 7 bodies]``; the two ends of each straight part of the
      tendons, ``[n, 6 parts]``, with the tendon of each part; and whether the camera moves. A tendon may have fewer parts at
      times: the others then have no length.
    """
    poses = np.empty((len(positions), len(bodies), 7))
    most = {tendon: 2 * int(model.tendon_num[tendon]) for tendon in tendons}
    owners = [tendon for tendon in tendons for _ in range(most[tendon])]
    ends = np.zeros((len(positions), len(owners), 6))
    cameras = np.zeros((len(positions), 3))
    for i, row in enumerate(positions):
        set_pose(data, row)
        _move(model, data)
        poses[i] = np.concatenate([data.xpos[bodies], data.xquat[bodies]], axis=1)
        if camera.type == mujoco.mjtCamera.mjCAMERA_FIXED:
            cameras[i] = data.cam_xpos[camera.fixedcamid]
        at = 0
        for tendon in tendons:
            begin, number = data.ten_wrapadr[tendon], data.ten_wrapnum[tendon]
            points = data.wrap_xpos.reshape(-1, 3)[begin : begin + number]
            pulley = data.wrap_obj.ravel()[begin : begin + number] == -2
            straight = np.concatenate([points[:-1], points[1:]], axis=1)[~(pulley[:-1] | pulley[1:])]
            ends[i, at : at + len(straight)] = straight
            at += most[tendon]
    used = np.flatnonzero(ends.any(axis=(0, 2)))
    parts = ends[:, used].reshape(len(positions), -1)
    moves = bool(np.ptp(cameras, axis=0).max() > 0)
    return poses.reshape(len(positions), -1), (parts, [owners[part] for part in used]), moves


def _followed(model: mujoco.MjModel, camera: mujoco.MjvCamera) -> int | None:
    """The body that the page can follow: that of the camera, else the first that is free, else the first that moves."""
    if camera.type == mujoco.mjtCamera.mjCAMERA_FIXED and model.cam_bodyid[camera.fixedcamid] > 0:
        return int(model.cam_bodyid[camera.fixedcamid])
    free = model.jnt_bodyid[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE]
    moving = [*free, *model.jnt_bodyid]
    return int(moving[0]) if moving else None


def _orbit(model: mujoco.MjModel, data: mujoco.MjData, camera: mujoco.MjvCamera, followed: int | None) -> dict[str, Any]:
    """The first view, as a point to look at, a distance, and two angles (degrees) as MuJoCo's free camera has them."""
    if camera.type != mujoco.mjtCamera.mjCAMERA_FIXED:
        names = ("distance", "azimuth", "elevation")
        free = {name: float(getattr(camera, name)) for name in names}
        return free | {"lookat": camera.lookat.tolist(), "fovy": float(model.vis.global_.fovy)}
    place = data.cam_xpos[camera.fixedcamid]
    axes = data.cam_xmat[camera.fixedcamid].reshape(3, 3)
    forward, up = -axes[:, 2], axes[:, 1]
    elevation = math.asin(np.clip(forward[2], -1, 1))
    # Looking straight down, only the camera's own up direction says where the azimuth points.
    x, y, _ = forward * math.cos(elevation) - up * math.sin(elevation)
    target = model.stat.center if followed is None else data.xpos[followed]
    distance = float((target - place) @ forward)
    if distance <= 0:
        distance = float(model.stat.extent)
    return {
        "lookat": (place + distance * forward).tolist(),
        "distance": distance,
        "azimuth": math.degrees(math.atan2(y, x)),
        "elevation": math.degrees(elevation),
        "fovy": float(model.cam_fovy[camera.fixedcamid]),
    }


def _short(numbers: np.ndarray) -> list[float]:
    """Numbers with six digits, which is as exact as a picture is."""
    return [float(f"{x:.6g}") for x in np.ravel(numbers)]

"""What engines can simulate: which features of a model are refused by name, and what follows from fields of the model."""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.command import warn
from envs.engines.base import ModelFields

Feature = Callable[[mujoco.MjModel], bool]
"""Whether a model has the feature."""


def _disables(flag: mujoco.mjtDisableBit) -> Feature:
    return lambda model: bool(model.opt.disableflags & int(flag))


def _enables(flag: mujoco.mjtEnableBit) -> Feature:
    return lambda model: bool(model.opt.enableflags & int(flag))


def _nonzero(*fields: str) -> Feature:
    return lambda model: any(np.any(getattr(model, name)) for name in fields)


def has_connect_or_weld(model: mujoco.MjModel) -> bool:
    """Whether the model has connect or weld constraints that are not disabled as a whole."""
    off = mujoco.mjtDisableBit.mjDSBL_EQUALITY, mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    kinds = mujoco.mjtEq.mjEQ_CONNECT, mujoco.mjtEq.mjEQ_WELD
    return bool(np.isin(model.eq_type, kinds).any()) and not any(_disables(flag)(model) for flag in off)


STATEFUL: Mapping[str, Feature] = {
    "delays or intervals of actuators and sensors": lambda model: model.nhistory > 0,
    "plugins with a state of their own": lambda model: model.npluginstate > 0,
    "sleeping (flag sleep)": _enables(mujoco.mjtEnableBit.mjENBL_SLEEP),
    "the flag ipc": _enables(mujoco.mjtEnableBit.mjENBL_IPC),
}
"""Features that keep something from one physics step to the next which is not in `PhysicsState`. A world would depend on
what other worlds did before it. No engine simulates them."""

MJX_LACKS: Mapping[str, Feature] = {
    "the discrete integrator": lambda model: model.opt.integrator == mujoco.mjtIntegrator.mjINT_DISCRETE,
    "noslip_iterations": lambda model: model.opt.noslip_iterations > 0,
    "actuatorgroupdisable": lambda model: any(
        0 <= group < 31 and model.opt.disableactuator >> int(group) & 1 for group in model.actuator_group
    ),
    "one of the flags spring and damper disabled": lambda model: (
        _disables(mujoco.mjtDisableBit.mjDSBL_SPRING)(model) != _disables(mujoco.mjtDisableBit.mjDSBL_DAMPER)(model)
    ),
    "actearly": lambda model: bool(np.any(model.actuator_actearly & (model.actuator_actadr >= 0))),
    "plugins": lambda model: model.nplugin > 0,
    "polynomial stiffness": _nonzero("jnt_stiffnesspoly", "tendon_stiffnesspoly"),
    "polynomial damping": _nonzero("dof_dampingpoly", "tendon_dampingpoly", "actuator_dampingpoly"),
    "damping of actuators": _nonzero("actuator_damping"),
    "armature of actuators": _nonzero("actuator_armature"),
    "adhesion of geoms": lambda model: bool(model.flg_adhesion),
    "surfacevel": lambda model: bool(model.flg_surfacevel),
    "range finders in a model without materials": lambda model: bool(
        model.nmat == 0 and (model.sensor_type == mujoco.mjtSensor.mjSENS_RANGEFINDER).any()
    ),
    "fluidshape ellipsoid": lambda model: bool(
        (model.opt.density > 0 or model.opt.viscosity > 0) and np.any(model.geom_fluid)
    ),
}
"""Features that MJX would simulate as something else without a word, or end on with an error that does not name them (range
finders: it looks up the material of every geom). What else it lacks, MJX refuses by itself.
What it lacks of connect and weld constraints, `envs.engines.equality` adds."""


def _rests_on_a_plane(*kinds: mujoco.mjtGeom) -> Feature:
    def found(model: mujoco.MjModel) -> bool:
        planes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
        others = np.flatnonzero(np.isin(model.geom_type, kinds))
        types, affinities = model.geom_contype, model.geom_conaffinity
        touches = types[planes, None] & affinities[others] | affinities[planes, None] & types[others]
        return bool(touches.any())

    return found


MJX_DIFFERS: Mapping[str, Feature] = {
    "a tilted box or mesh touches a plane with the corners within 1 mm of its deepest, and not with up to four": (
        _rests_on_a_plane(mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_MESH)
    ),
    "a cylinder touches a plane with its lower end alone, unless it lies flat": _rests_on_a_plane(
        mujoco.mjtGeom.mjGEOM_CYLINDER
    ),
}
"""What MJX simulates in another way than C MuJoCo, and what the difference is (docs/physics.md)."""


WARP_LACKS: Mapping[str, Feature] = {name: MJX_LACKS[name] for name in ("actuatorgroupdisable", "armature of actuators")}
"""Features that MJX-Warp would leave out without a word."""

WARP_DIFFERS: Mapping[str, Feature] = {
    "connect and weld constraints are off by some percent where bodies are fast": has_connect_or_weld,
    "cylinders on a plane touch it at other points": _rests_on_a_plane(mujoco.mjtGeom.mjGEOM_CYLINDER),
    "ellipsoids on boxes, height fields and distance fields touch at other points": lambda model: bool(
        np.isin(model.geom_type, (mujoco.mjtGeom.mjGEOM_HFIELD, mujoco.mjtGeom.mjGEOM_SDF)).any()
        or np.isin((mujoco.mjtGeom.mjGEOM_ELLIPSOID, mujoco.mjtGeom.mjGEOM_BOX), model.geom_type).all()
    ),
}
"""What MJX-Warp simulates in another way than C MuJoCo (docs/physics.md)."""


@functools.cache
def warn_once(text: str) -> None:
    """Prints a warning, unless this process has printed it already."""
    warn(text)


def refuse(model: mujoco.MjModel, engine: str, lacks: Mapping[str, Feature], advice: str = "") -> None:
    """Refuses a model that has one of the features.

    Raises:
      ValueError: it has; the message names all of them.
    """
    found = [name for name, has in lacks.items() if has(model)]
    if found:
        raise ValueError(f"the {engine} engine cannot simulate this model{advice}: it has {', '.join(found)}")


def check_fields(fields: ModelFields, known: Callable[[str], bool]) -> None:
    """Checks the names of the fields in which a world differs.

    Raises:
      ValueError: MuJoCo's model has no such field that could differ.
    """
    unknown = [name for name in fields if not known(name)]
    if unknown:
        raise ValueError(f"worlds cannot differ in mjModel.{', mjModel.'.join(unknown)}: there is no such field")


def with_fields(model: mujoco.MjModel, fields: Mapping[str, Any]) -> mujoco.MjModel:
    """A copy of the model with other values of some fields, named as in `ModelFields`: ``body_mass`` or ``opt.gravity``."""
    model = model.__copy__()
    for name, value in fields.items():
        operator.attrgetter(name)(model)[:] = value
    return model


def at_reset(model: mujoco.MjModel, fields: ModelFields) -> dict[str, jax.Array]:
    """The ``mjData`` fields that ``mj_resetData`` takes from the model, in a world that differs from it in ``fields``.

    So a mocap body stands where this world's ``body_pos`` and ``body_quat`` say, and ``eq_active0`` switches equalities.
    """
    mocap = np.flatnonzero(model.body_mocapid >= 0)
    values = {}
    for source, name in (("body_pos", "mocap_pos"), ("body_quat", "mocap_quat")):
        if source in fields and mocap.size:
            values[name] = jnp.asarray(fields[source])[mocap]
    if "eq_active0" in fields and model.neq:
        values["eq_active"] = jnp.asarray(fields["eq_active0"])
    return values

"""``python -m benchmarks.features``: what a model may contain, on every engine, against plain C MuJoCo, as a table.

Each feature of MuJoCo's model format is shown by one small model. A group of worlds of this model runs under random
controls, interleaved with a second group, which a state that outlives a step would mix up. Each world of the first group is
compared with an ``MjData`` of its own, which plain C MuJoCo steps. An engine has to simulate the feature alike, or refuse
the model.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import tyro

from benchmarks.choices import EngineName
from benchmarks.report import Report
from envs.command import UserError, run_command
from envs.engines import Engine, PhysicsState, SolverConfig, make_engine
from envs.engines.native import silent
from train.compilation_cache import use_compilation_cache
from train.config import Config

PROGRAM = "python -m benchmarks.features"

_ENGINES: tuple[EngineName, ...] = ("native", "mjx", "warp")

STEPS = 60
"""Environment steps that are compared."""
SUBSTEPS = 2
"""Physics steps per environment step."""
WORLDS = 3
"""Worlds in each of the two groups."""
TOLERANCE = 1e-3
"""Largest error that counts as alike. It leaves room for float32; a feature that is left out costs far more."""


@dataclasses.dataclass(frozen=True)
class Feature:
    """A model that shows one feature.

    Attributes:
      xml: the model.
      fields: fields of the model in which all worlds differ from it.
    """

    xml: str
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare features of models with plain C MuJoCo, engine by engine."""

    feature: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """feature to compare; may be repeated; default: all features"""
    engines: tuple[EngineName, ...] = _ENGINES
    """engines to compare"""
    json: pathlib.Path | None = None
    """file to write the figures to; features and engines in it that are not compared now are kept"""
    markdown: pathlib.Path | None = None
    """file to write the table to, made from all that is in the JSON file"""


def main(args: Args) -> None:
    """Compares, prints, writes."""
    unknown = [name for name in args.feature if name not in FEATURES]
    if unknown:
        raise UserError(f"There is no feature {unknown[0]!r}; choose from: {', '.join(FEATURES)}.")
    report = Report(PROGRAM, args)
    use_compilation_cache(Config.compilation_cache)
    for name in args.feature or FEATURES:
        for engine in args.engines:
            found = compare(FEATURES[name], engine)
            report.add(f"{name}, {engine}", {"feature": name, "engine": engine, **found})
            print(f"{name}, {engine}: {_cell(found)}", flush=True)
    report.save_page(page(report))


def compare(feature: Feature, engine_name: str) -> dict[str, Any]:
    """Compares one feature on one engine with plain C MuJoCo.

    Returns:
      ``refused``, the engine's sentence or None; and if it is None, ``error``: the largest error of a position, velocity,
      activation or sensor over all worlds and steps, in units of the largest such number of the model where that is above 1.
    """
    with silent():
        model = mujoco.MjModel.from_xml_string(feature.xml)
    reads = ("sensordata",) if model.nsensor else ()
    try:
        # The feature is compared, not how early the solver stops.
        engine = make_engine(model, reads, engine_name, SolverConfig(iterations=100, ls_iterations=50))
        ours = _play(engine, feature, reads)
    except (ValueError, NotImplementedError) as refusal:
        return {"refused": str(refusal), "error": None}
    theirs = _play_plain(model, feature, reads)
    worst = 0.0
    for name, expected in theirs.items():
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        error = np.abs(ours[name] - expected).max(initial=0) / scale
        worst = float(np.maximum(worst, np.where(np.isnan(error), np.inf, error)))
    return {"refused": None, "error": worst}


def _starts(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions ``[2, WORLDS, nq]``, velocities ``[2, WORLDS, nv]``, controls ``[STEPS, 2, WORLDS, nu]``."""
    rng = np.random.default_rng(0)
    qvel = rng.uniform(-0.3, 0.3, (2, WORLDS, model.nv))
    qpos = np.tile(model.qpos0, (2, WORLDS, 1))
    for start, velocity in zip(qpos.reshape(-1, model.nq), qvel.reshape(-1, model.nv), strict=True):
        if not model.nflex:  # a flex that starts out bent would need more than random numbers
            mujoco.mj_integratePos(model, start, velocity, 0.1)
    low, high = np.where(model.actuator_ctrllimited[:, None], model.actuator_ctrlrange, [-1.0, 1.0]).T
    ctrl = rng.uniform(low, high, (STEPS, 2, WORLDS, model.nu))
    return qpos.astype(np.float32), qvel.astype(np.float32), ctrl.astype(np.float32)


def _play(engine: Engine, feature: Feature, reads: tuple[str, ...]) -> dict[str, np.ndarray]:
    """``qpos``, ``qvel``, ``act`` and sensors of the first group of worlds after each step, ``[STEPS, WORLDS, ...]``."""
    model = engine.model
    qpos, qvel, ctrl = _starts(model)
    fields = {name: jnp.asarray(value, jnp.float32) for name, value in feature.fields.items()}
    step = jax.jit(jax.vmap(lambda state, ctrl: engine.step(state, ctrl, SUBSTEPS, fields)))
    groups = [
        PhysicsState(
            qpos=jnp.asarray(qpos[group]),
            qvel=jnp.asarray(qvel[group]),
            act=jnp.zeros((WORLDS, model.na)),
            qacc_warmstart=jnp.zeros((WORLDS, model.nv)),
            time=jnp.zeros(WORLDS),
        )
        for group in range(2)
    ]
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("qpos", "qvel", "act", *reads)}
    for now in ctrl:
        after = [step(state, jnp.asarray(u)) for state, u in zip(groups, now, strict=True)]
        groups = [state for state, _ in after]
        state, derived = after[0]
        for name, row in rows.items():
            row.append(np.asarray(derived[name] if name in derived else getattr(state, name)))
    return {name: np.stack(row) for name, row in rows.items()}


def _play_plain(model: mujoco.MjModel, feature: Feature, reads: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The same as `_play`, by ``mj_step`` alone."""
    qpos, qvel, ctrl = _starts(model)
    model = model.__copy__()
    for name, value in feature.fields.items():
        getattr(model, name)[:] = value
    names = ("qpos", "qvel", "act", *reads)
    worlds = []
    for world in range(WORLDS):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = qpos[0, world], qvel[0, world]
        rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for now in ctrl[:, 0, world]:
            data.ctrl[:] = now
            mujoco.mj_step(model, data, nstep=SUBSTEPS)
            for name, row in rows.items():
                row.append(getattr(data, name).copy())
        worlds.append(rows)
    return {name: np.stack([np.stack(rows[name]) for rows in worlds], axis=1) for name in names}


def page(report: Report) -> str:
    """The table as a page of the documentation."""
    engines = [name for name in _ENGINES if report.rows(engine=name)]
    lines = [_HEAD, f"| feature | {' | '.join(engines)} |", "|---|" + "---|" * len(engines)]
    for name in FEATURES:
        cells = []
        for engine in engines:
            found = report.rows(feature=name, engine=engine)
            cells.append(_cell(found[0]) if found else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, Any]) -> str:
    if found["refused"] is not None:
        return f"refused: {found['refused']}".replace("|", "\\|").replace("\n", " ")
    return f"{'alike' if found['error'] < TOLERANCE else '**differs**'}, {found['error']:.0e}"


_HEAD = f"""\
# What a model may contain

Written by `{PROGRAM} --json benchmarks/results/features.json --markdown docs/features.md`.

Each row is one small model. {WORLDS} worlds of it make {STEPS} environment steps of {SUBSTEPS} physics steps under random
controls, interleaved with {WORLDS} other worlds, and are compared with plain C MuJoCo. *Alike* gives the largest error of a
position, velocity, activation or sensor, in units of the largest such number of the model where that is above 1. It is at
most {TOLERANCE:.0e}: states are float32 between two steps, and mjx and warp compute in float32. *Refused* gives the sentence
with which the engine refuses the model when it is made. No engine leaves out a feature without a word.
"""


def _model(body: str = "", actuator: str = "", option: str = "", rest: str = "", joint: str = "") -> str:
    """A pendulum that nothing touches, with the given parts."""
    return f"""
<mujoco>
  <option timestep="0.005" {option}
  <worldbody>
    <body name="arm" pos="0 0 2">
      <joint name="j" axis="0 1 0" {joint or 'damping="0.05"'}/>
      <geom name="arm" type="capsule" fromto="0 0 0 0.1 0 -0.3" size="0.03"/>
      <site name="tip" pos="0 0 -0.3"/>
      <body pos="0 0 -0.3">
        <joint name="k" axis="1 0 0" damping="0.05"/>
        <geom type="capsule" fromto="0 0 0 0 0.1 -0.2" size="0.03" contype="0" conaffinity="0"/>
        <site name="end" pos="0 0 -0.2"/>
      </body>
    </body>
    {body}
  </worldbody>
  <actuator>{actuator or '<motor joint="j" ctrlrange="-1 1"/>'}</actuator>
  {rest}
</mujoco>"""


def _option(attributes: str = "", flags: str = "", **parts: str) -> Feature:
    inner = f"{attributes}><flag {flags}/></option>" if flags else f"{attributes}/>"
    return Feature(_model(option=inner, **parts))


def _actuator(xml: str, **parts: str) -> Feature:
    return _option(actuator=xml, **parts)


_LAND = """
    <geom name="floor" type="plane" size="5 5 .1" {floor}/>
    <body name="g" pos="0 0 {height}"><freejoint/><geom name="g" {geom}/></body>"""


def _landing(
    geom: str, height: float = 0.1, option: str = "", flags: str = "", floor: str = "", rest: str = "", actuator: str = ""
) -> Feature:
    """A body that lies on the floor, or lands on it, and slides."""
    return _option(option, flags, body=_LAND.format(floor=floor, height=height, geom=geom), rest=rest, actuator=actuator)


_BALL = 'type="sphere" size=".1"'
_TENDON = '<tendon><spatial name="t" {}><site site="root"/><site site="tip"/></spatial></tendon>'
_ROOT = '<site name="root" pos="0.4 0 1.8"/>'
_FIXED = '<tendon><fixed name="t" {}><joint joint="j" coef="1"/><joint joint="k" coef="-0.5"/></fixed></tendon>'
_SENSOR = "<sensor>{}</sensor>"
_HANGING = '<body name="b" pos="0.5 0 1.5"><freejoint/><geom size=".05" contype="0" conaffinity="0"/><site name="s"/></body>'
_FILTER = 'joint="j" ctrlrange="-1 1" dyntype="{}" dynprm=".05" gainprm="2"'

FEATURES: Mapping[str, Feature] = MappingProxyType(
    {
        # how time advances
        "integrator Euler": _option(),
        "integrator RK4": _option('integrator="RK4"'),
        "integrator implicitfast": _option('integrator="implicitfast"'),
        "integrator implicit": _option('integrator="implicit"'),
        "integrator discrete": _option('integrator="discrete"'),
        # the solver and flags
        "solver PGS": _landing(_BALL, option='solver="PGS"'),
        "solver CG": _landing(_BALL, option='solver="CG"'),
        "cone pyramidal": _landing(_BALL),
        "cone elliptic": _landing(_BALL, option='cone="elliptic"'),
        "noslip": _landing(_BALL, option='noslip_iterations="5"'),
        "impratio": _landing(_BALL, option='cone="elliptic" impratio="5"'),
        "flag override": _landing(_BALL, option='o_solref="0.05 1"', flags='override="enable"'),
        "flag energy": _option(flags='energy="enable"'),
        "flag fwdinv": _option(flags='fwdinv="enable"'),
        "flag invdiscrete": _option(flags='invdiscrete="enable"'),
        "flag diagexact": _landing(_BALL, flags='diagexact="enable"'),
        "flag sleep": _landing(_BALL, flags='sleep="enable"'),
        "flag ipc": _option('integrator="discrete" solver="CG"', flags='ipc="enable"'),
        "flag island disabled": _landing(_BALL, flags='island="disable"'),
        "flag spring disabled": _option(flags='spring="disable"', joint='stiffness="3" damping="0.1"'),
        "flag damper disabled": _option(flags='damper="disable"', joint='stiffness="3" damping="0.1"'),
        "flag eulerdamp disabled": _option(flags='eulerdamp="disable"'),
        "flag gravity disabled": _option(flags='gravity="disable"'),
        "flag actuation disabled": _option(flags='actuation="disable"'),
        "flag contact disabled": _landing(_BALL, flags='contact="disable"'),
        "flag frictionloss disabled": _option(flags='frictionloss="disable"', joint='frictionloss="0.2"'),
        "actuator group disabled": _option(
            'actuatorgroupdisable="1"', actuator='<motor joint="j" ctrlrange="-1 1" group="1"/><motor joint="k"/>'
        ),
        # joints
        "hinge, slide, ball and free joints": _option(
            body=_HANGING + '<body pos="2 0 1"><joint type="ball"/><geom size=".05" pos=".2 0 0"/></body>'
            '<body pos="3 0 1"><joint type="slide" axis="0 0 1"/><geom size=".05"/></body>'
        ),
        "joint limit": _option(joint='range="-5 5" limited="true"'),
        "ball joint limit": _option(
            body='<body pos="2 0 1"><joint type="ball" range="0 10" limited="true"/><geom size=".05" pos=".2 0 0"/></body>'
        ),
        "joint damping": _option(joint='damping="0.5"'),
        "joint friction loss": _option(joint='frictionloss="0.1"'),
        "joint armature": _option(joint='armature="0.1"'),
        "joint spring": _option(joint='stiffness="3" springref="20"'),
        "joint stiffness polynomial": _option(joint='stiffness="3 5 2"'),
        "joint damping polynomial": _option(joint='damping="0.1 0.3 0.1"'),
        "joint actuator force range": _option(joint='actuatorfrcrange="-0.2 0.2"'),
        "gravity compensation": _option(body='<body pos="2 0 1" gravcomp="0.8"><freejoint/><geom size=".05"/></body>'),
        "gravity compensation by actuators": _option(
            body='<body pos="2 0 1" gravcomp="0.8"><joint name="g" actuatorgravcomp="true" actuatorfrcrange="-2 2"/>'
            '<geom size=".05" pos=".2 0 0"/></body>',
            actuator='<motor joint="g" ctrlrange="-1 1"/>',
        ),
        # equalities
        "equality connect": _option(body=_HANGING, rest='<equality><connect body1="b" anchor="0.1 0 0.1"/></equality>'),
        "equality weld": _option(body=_HANGING, rest='<equality><weld body1="b"/></equality>'),
        "equality weld of sites": _option(body=_HANGING, rest='<equality><weld site1="s" site2="tip"/></equality>'),
        "equality joint": _option(rest='<equality><joint joint1="j" joint2="k" polycoef="0 0.5 0.1 0 0"/></equality>'),
        "equality tendon": _option(rest=_FIXED.format("") + '<equality><tendon tendon1="t"/></equality>'),
        "equality switched in a world": Feature(
            _model(option="/>", body=_HANGING, rest='<equality><weld body1="b" active="false"/></equality>'),
            {"eq_active0": [1]},
        ),
        # tendons
        "tendon fixed, with spring and damper": _option(
            rest=_FIXED.format('stiffness="3" damping="0.1" springlength="0.2"')
        ),
        "tendon spatial": _option(body=_ROOT, rest=_TENDON.format('stiffness="20" springlength="0.3"')),
        "tendon wrapped around a sphere": _option(
            body=_ROOT + '<geom name="w" size=".08" pos=".2 0 1.75" contype="0" conaffinity="0"/>',
            rest='<tendon><spatial stiffness="20" springlength="0.3"><site site="root"/><geom geom="w"/><site site="tip"/>'
            "</spatial></tendon>",
        ),
        "tendon with a pulley": _option(
            body=_ROOT,
            rest='<tendon><spatial stiffness="20" springlength="0.3"><site site="root"/><site site="tip"/>'
            '<pulley divisor="2"/><site site="root"/><site site="end"/></spatial></tendon>',
        ),
        "tendon limit": _option(rest=_FIXED.format('range="-0.1 0.1" limited="true"')),
        "tendon friction loss": _option(rest=_FIXED.format('frictionloss="0.1"')),
        "tendon armature": _option(rest=_FIXED.format('armature="0.05"')),
        "tendon stiffness polynomial": _option(rest=_FIXED.format('stiffness="3 5 2" springlength="0.2"')),
        "tendon damping polynomial": _option(rest=_FIXED.format('damping="0.1 0.3 0.1"')),
        "tendon actuator force range": _actuator(
            '<motor tendon="t" ctrlrange="-1 1"/>', rest=_FIXED.format('actuatorfrcrange="-0.3 0.3"')
        ),
        # actuators
        "actuator motor with gear": _actuator('<motor joint="j" ctrlrange="-1 1" gear="2"/>'),
        "actuator position": _actuator('<position joint="j" kp="3" kv="0.1" ctrlrange="-1 1"/>'),
        "actuator velocity": _actuator('<velocity joint="j" kv="1" ctrlrange="-1 1"/>'),
        "actuator intvelocity": _actuator('<intvelocity joint="j" kp="3" ctrlrange="-1 1" actrange="-1 1"/>'),
        "actuator damper": _actuator('<damper joint="j" kv="1" ctrlrange="0 1"/>'),
        "actuator cylinder": _actuator('<cylinder joint="j" timeconst=".1" area="0.5" ctrlrange="-1 1"/>'),
        "actuator muscle": _actuator('<muscle joint="j" lengthrange="-1 1" force="1" ctrlrange="0 1"/>'),
        "actuator dcmotor": _actuator('<dcmotor joint="j" motorconst="0.05" resistance="2" ctrlrange="-1 1"/>'),
        "actuator pid": _actuator('<pid joint="j" kp="3" ki="1" kv="0.1" ctrlrange="-1 1"/>'),
        "actuator orientation": _actuator(
            '<orientation joint="q" kp="1" kv="0.1"/>',
            body='<body pos="2 0 1"><joint name="q" type="ball"/><geom size=".05" pos=".2 0 0"/></body>',
        ),
        "actuator integrator with limits": _actuator(
            f'<general {_FILTER.format("integrator")} actlimited="true" actrange="-0.1 0.1"/>'
        ),
        "actuator filter": _actuator(f"<general {_FILTER.format('filter')}/>"),
        "actuator filterexact": _actuator(f"<general {_FILTER.format('filterexact')}/>"),
        "actuator acts early (actearly)": _actuator(f'<general {_FILTER.format("filterexact")} actearly="true"/>'),
        "actuator delay": _actuator('<motor joint="j" ctrlrange="-1 1" delay=".02" nsample="10"/>'),
        "actuator force range": _actuator('<motor joint="j" ctrlrange="-1 1" forcerange="-0.3 0.3"/>'),
        "actuator damping": _actuator('<motor joint="j" ctrlrange="-1 1" damping="0.5"/>'),
        "actuator armature": _actuator('<motor joint="j" ctrlrange="-1 1" armature="0.1"/>'),
        "actuator on a joint in its parent": _actuator(
            '<motor jointinparent="q" ctrlrange="-1 1" gear="0 1 0"/>',
            body='<body pos="2 0 1"><joint name="q" type="ball"/><geom size=".05" pos=".2 0 0"/></body>',
        ),
        "actuator on a site": _actuator('<motor site="tip" ctrlrange="-1 1" gear="1 0 0 0 0.1 0"/>'),
        "actuator on a tendon": _actuator(
            '<motor tendon="t" ctrlrange="-1 1"/>', body=_ROOT, rest=_TENDON.format('stiffness="1"')
        ),
        "actuator slidercrank": _actuator(
            '<motor cranksite="tip" slidersite="root" cranklength="0.6" ctrlrange="-1 1"/>', body=_ROOT
        ),
        "actuator adhesion": _landing(_BALL, actuator='<adhesion body="g" gain="20" ctrlrange="0 1"/>'),
        "actuator plugin": _actuator(
            '<plugin joint="j" actdim="1" plugin="mujoco.pid" ctrlrange="-1 1"><config key="kp" value="3"/>'
            '<config key="ki" value="2"/><config key="kd" value=".1"/><config key="imax" value="10"/></plugin>',
            rest='<extension><plugin plugin="mujoco.pid"/></extension>',
        ),
        # contacts
        "contact pair": _landing(
            'type="sphere" size=".1" contype="0" conaffinity="0"',
            rest='<contact><pair geom1="floor" geom2="g" condim="3" friction="0.3 0.3"/></contact>',
        ),
        "contact exclude": _option(
            body='<body name="p" pos="1 0 1"><freejoint/><geom size=".1"/></body>'
            '<body name="q" pos="1.05 0 1"><freejoint/><geom size=".1"/></body>',
            rest='<contact><exclude body1="p" body2="q"/></contact>',
        ),
        "contact condim 1": _landing(_BALL + ' condim="1"', floor='condim="1"'),
        "contact condim 1, elliptic": _landing(_BALL + ' condim="1"', floor='condim="1"', option='cone="elliptic"'),
        "contact condim 4": _landing(_BALL + ' condim="4"'),
        "contact condim 6": _landing(_BALL + ' condim="6"'),
        "contact margin and gap": _landing(_BALL + ' margin="0.02" gap="0.01"', height=0.115),
        "contact priority and mixing": _landing(_BALL + ' priority="1" friction="0.2" solref="0.04 1"'),
        "contact adhesion": _landing(_BALL + ' adhesion="3"'),
        "contact surface velocity": _landing(_BALL, floor='surfacevel="0.5 0 0 0 0 0"'),
        "geom capsule": _landing('type="capsule" size=".1 .2" euler="0 90 0"'),
        "geom box": _landing('type="box" size=".1 .1 .1"'),
        "geom cylinder": _landing('type="cylinder" size=".1 .1"'),
        "geom ellipsoid": _landing('type="ellipsoid" size=".12 .1 .1"'),
        "geom ellipsoid on a box": _option(
            body='<geom type="box" size="1 1 .1"/>'
            '<body pos="0 0 .2"><freejoint/><geom type="ellipsoid" size=".12 .1 .1"/></body>'
        ),
        "geom mesh": _landing(
            'type="mesh" mesh="m"',
            rest='<asset><mesh name="m" vertex=".1 .1 .1 -.1 .1 .1 .1 -.1 .1 .1 .1 -.1 -.1 -.1 .1 -.1 .1 -.1 .1 -.1 -.1 '
            '-.1 -.1 -.1"/></asset>',
        ),
        "geom height field": _option(
            body='<geom type="hfield" hfield="h"/><body pos="0 0 0.19"><freejoint/><geom size=".1"/></body>',
            rest='<asset><hfield name="h" nrow="3" ncol="3" size="2 2 .1 .1" elevation="1 1 1 1 1 1 1 1 1"/></asset>',
        ),
        "geom signed distance field (plugin)": _landing(
            'type="sdf" mesh="m"><plugin instance="i"/></geom><geom size=".01"',
            rest='<extension><plugin plugin="mujoco.sdf.torus"><instance name="i"><config key="radius1" value="0.1"/>'
            '<config key="radius2" value="0.05"/></instance></plugin></extension>'
            '<asset><mesh name="m"><plugin instance="i"/></mesh></asset>',
            height=0.05,
        ),
        # bodies
        "mocap body": Feature(
            _model(
                option="/>",
                body='<body name="hand" mocap="true" pos="1 0 1"><geom size=".02" contype="0" conaffinity="0"/></body>'
                + _HANGING,
                rest='<equality><weld body1="hand" body2="b"/></equality>',
            ),
            {"body_pos": [[0, 0, 0], [0, 0, 2], [0, 0, -0.3], [1.2, 0.1, 1], [0.5, 0, 1.5]]},
        ),
        "flex": _option(
            body='<flexcomp name="f" type="grid" count="3 3 1" spacing=".1 .1 .1" pos="1 0 1" radius=".01" mass=".1">'
            '<edge equality="true"/><contact contype="0" conaffinity="0" selfcollide="none"/></flexcomp>'
        ),
        "cable (plugin)": _option(
            body='<composite type="cable" prefix="c" curve="s" count="5 1 1" size="0.5" offset="1 0 1" initial="none">'
            '<plugin plugin="mujoco.elasticity.cable"><config key="twist" value="1e6"/><config key="bend" value="1e6"/>'
            "</plugin>"
            '<joint kind="main" damping="0.1"/><geom type="capsule" size=".01" contype="0" conaffinity="0"/></composite>',
            rest='<extension><plugin plugin="mujoco.elasticity.cable"/></extension>',
        ),
        # a medium
        "fluid, box model": _option('density="100" viscosity="0.1" wind="1 0 0"'),
        "fluid, box model, implicitfast": _option('density="100" viscosity="0.1" integrator="implicitfast"'),
        "fluid, ellipsoid model": _option(
            'density="100" viscosity="0.1"',
            body='<body pos="2 0 1"><freejoint/><geom type="ellipsoid" size=".1 .05 .02" fluidshape="ellipsoid"/></body>',
        ),
        # sensors
        "sensors of position and velocity": _option(
            rest=_SENSOR.format(
                '<jointpos joint="j"/><jointvel joint="j"/><framepos objtype="site" objname="tip"/><gyro site="tip"/>'
                '<velocimeter site="tip"/><framequat objtype="site" objname="end"/><subtreecom body="arm"/><clock/>'
                '<actuatorpos actuator="a"/>'
            ),
            actuator='<motor name="a" joint="j" ctrlrange="-1 1"/>',
        ),
        "sensors of acceleration": _landing(
            _BALL,
            rest=_SENSOR.format('<accelerometer site="tip"/><force site="tip"/><torque site="tip"/>'),
        ),
        "sensor cutoff": _option(rest=_SENSOR.format('<jointvel joint="j" cutoff="0.1"/>')),
        "sensor touch": _landing(_BALL + '/><site name="p" size=".2"', rest=_SENSOR.format('<touch site="p"/>')),
        "sensor rangefinder": _option(body=_ROOT, rest=_SENSOR.format('<rangefinder site="root"/>')),
        "sensor contact": _landing(
            _BALL, rest=_SENSOR.format('<contact geom1="g" geom2="floor" data="found force" reduce="mindist"/>')
        ),
        "sensor distance": _option(
            body='<geom name="o" size=".1" pos="1 0 1"/>',
            rest=_SENSOR.format('<distance geom1="o" geom2="arm" cutoff="9"/>'),
        ),
        "sensor delay": _option(rest=_SENSOR.format('<jointpos joint="j" delay=".02" nsample="10"/>')),
        "sensor interval": _option(rest=_SENSOR.format('<jointpos joint="j" interval=".02" nsample="2"/>')),
        "sensor of energy": _option(rest=_SENSOR.format("<e_kinetic/><e_potential/>")),
        "sensor of a user": _option(rest=_SENSOR.format('<user dim="1"/>')),
        "sensor plugin": _option(
            body='<body name="c" pos="2 0 1"><freejoint/><geom size=".05"/></body>',
            rest=_SENSOR.format(
                '<plugin plugin="mujoco.sensor.touch_grid" objtype="site" objname="tip"><config key="size" value="2 2"/>'
                '<config key="fov" value="10 10"/><config key="gamma" value="0"/><config key="nchannel" value="1"/></plugin>'
            )
            + '<extension><plugin plugin="mujoco.sensor.touch_grid"/></extension>',
        ),
    }
)
"""The features by name, in the order of the table."""


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

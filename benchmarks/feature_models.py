"""The features that `benchmarks.features` compares: for each a minimal model."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


@dataclasses.dataclass(frozen=True)
class Feature:
    """A model that shows one feature.

    Attributes:
      xml: the model.
      fields: fields of the model in which all worlds differ from it.
    """

    xml: str
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


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
        # The worlds start a few centimetres off. With MuJoCo's stiffer default that alone costs 1e-3 in float32.
        "equality weld": _option(body=_HANGING, rest='<equality><weld body1="b" solref="0.1 1"/></equality>'),
        "equality connect, integrator RK4": _option(
            'integrator="RK4"', body=_HANGING, rest='<equality><connect body1="b" anchor="0.1 0 0.1"/></equality>'
        ),
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

"""Engines agree on what a model means: a feature is simulated as C MuJoCo does it, or refused by name."""

import re

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from benchmarks.feature_models import FEATURES
from benchmarks.features import TOLERANCE, compare
from envs.engines import SolverConfig, make_engine
from envs.engines.equality import drift
from envs.engines.mjx_import import mjx
from envs.engines.support import warn_once

KEEPS_STATE = ("actuator delay", "sensor delay", "sensor interval", "flag sleep", "flag ipc")
"""features that keep something between two steps which no state holds"""
LACKED_BY_MJX = {
    "actuator acts early (actearly)": "actearly",
    "actuator plugin": "plugins",
    "cable (plugin)": "plugins",
    "integrator discrete": "the discrete integrator",
    "noslip": "noslip_iterations",
    "actuator group disabled": "actuatorgroupdisable",
    "flag spring disabled": "one of the flags spring and damper disabled",
    "flag damper disabled": "one of the flags spring and damper disabled",
    "joint stiffness polynomial": "polynomial stiffness",
    "joint damping polynomial": "polynomial damping",
    "tendon stiffness polynomial": "polynomial stiffness",
    "tendon damping polynomial": "polynomial damping",
    "actuator damping": "damping of actuators",
    "actuator armature": "armature of actuators",
    "contact adhesion": "adhesion of geoms",
    "contact surface velocity": "surfacevel",
    "fluid, ellipsoid model": "fluidshape ellipsoid",
    "sensor rangefinder": "range finders in a model without materials",
}


@pytest.mark.parametrize("name", KEEPS_STATE)
@pytest.mark.parametrize("engine", ["native", "mjx"])
def test_what_outlives_a_step_outside_the_state_is_refused(name: str, engine: str) -> None:
    """google-deepmind/mujoco_warp PR#1169, PR#1629, #887; google-deepmind/mujoco#3597: delays and sleep are state, too."""
    refused = compare(FEATURES[name], engine)["refused"]
    assert refused is not None
    assert re.match(f"the {engine} engine cannot simulate this model: it has (delays|sleeping|the flag ipc)", refused)


@pytest.mark.parametrize("name", LACKED_BY_MJX)
def test_what_mjx_lacks_is_refused_by_name(name: str) -> None:
    """google-deepmind/mujoco_warp#345, google-deepmind/mujoco#2667: features that one implementation lacks."""
    model = mujoco.MjModel.from_xml_string(FEATURES[name].xml)
    with pytest.raises(ValueError, match="mjx engine cannot simulate this model, the native one can: it has ") as refusal:
        make_engine(model, (), "mjx", SolverConfig())
    assert LACKED_BY_MJX[name] in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [("geom box", "corners within 1 mm"), ("geom mesh", "corners within 1 mm"), ("geom cylinder", "its lower end alone")],
)
def test_what_mjx_simulates_in_another_way_is_said_once(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """google-deepmind/mujoco#2667: it has fewer points of contact on a plane."""
    warn_once.cache_clear()
    model = mujoco.MjModel.from_xml_string(FEATURES[name].xml)
    for _ in range(2):
        make_engine(model, (), "mjx", SolverConfig())
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: mjx differs from C MuJoCo on this model: ")
    assert said in line
    model.geom_contype[:] = model.geom_conaffinity[:] = 0  # then they never meet
    warn_once.cache_clear()
    make_engine(model, (), "mjx", SolverConfig())
    assert capsys.readouterr().err == ""


def test_what_warp_lacks_is_refused_and_what_differs_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """google-deepmind/mujoco_warp#345: it moves actuators of a group that is switched off."""
    pytest.importorskip("warp")
    model = mujoco.MjModel.from_xml_string(FEATURES["actuator group disabled"].xml)
    with pytest.raises(ValueError, match="warp engine cannot simulate this model, the native one can: it has actuatorgroup"):
        make_engine(model, (), "warp", SolverConfig())
    warn_once.cache_clear()
    make_engine(mujoco.MjModel.from_xml_string(FEATURES["equality connect"].xml), (), "warp", SolverConfig())
    assert capsys.readouterr().err.startswith("warning: warp differs from C MuJoCo on this model: connect and weld")


def test_what_mjx_finds_out_late_is_refused_in_the_same_words() -> None:
    """MJX refuses this when data are made, after it took the model."""
    model = mujoco.MjModel.from_xml_string(FEATURES["contact condim 1, elliptic"].xml)
    with pytest.raises(ValueError, match="the mjx engine cannot simulate this model, the native one can: "):
        make_engine(model, (), "mjx", SolverConfig())


@pytest.mark.parametrize(
    "name",
    [
        *(
            "actuator filterexact",
            "actuator muscle",
            "actuator dcmotor",
            "actuator plugin",
            "actuator acts early (actearly)",
        ),
        *("equality weld", "tendon wrapped around a sphere", "contact pair", "flex", "fluid, ellipsoid model"),
        *("sensors of acceleration", "mocap body", "equality switched in a world"),
    ],
)
def test_the_native_engine_simulates_what_plain_mujoco_does(name: str) -> None:
    """google/brax#585 (mocap bodies), google-deepmind/mujoco_warp#345"""
    found = compare(FEATURES[name], "native")
    assert found["refused"] is None
    assert found["error"] < 1e-5


@pytest.mark.slow
def test_mjx_carries_what_hangs_on_a_mocap_body() -> None:
    """google/brax#585: goals that are mocap bodies did not move."""
    found = compare(FEATURES["mocap body"], "mjx")
    assert found["refused"] is None
    assert found["error"] < TOLERANCE


JOINED = """
<mujoco>
  <worldbody>
    <body name="a"><freejoint/><geom size=".1"/>
      <body name="b" pos=".3 0 0">
        <joint type="ball"/><geom size=".05" pos=".1 .1 0"/><site name="t" quat="1 2 0 0" pos=".1 .2 .3"/>
      </body>
    </body>
    <body name="c" pos="1 0 0"><joint axis="0 1 0"/><geom size=".1" pos=".2 0 0"/><site name="s" quat="1 0 3 0"/></body>
  </worldbody>
  <equality>
    <connect body1="b" body2="c" anchor=".1 .2 .1"/><connect site1="t" site2="s"/>
    <weld body1="a" body2="c" anchor=".1 .2 .1" torquescale="0.5"/><weld site1="t" site2="s"/>
    <weld body1="a" active="false"/>
  </equality>
</mujoco>"""


def test_mjx_gets_the_term_of_connect_and_weld_constraints_that_it_forgets() -> None:
    """google-deepmind/mujoco_warp PR#1294: C MuJoCo and MJX-Warp got it, MJX did not."""
    model = mujoco.MjModel.from_xml_string(JOINED)
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    mujoco.mj_integratePos(model, data.qpos, rng.normal(size=model.nv), 0.3)
    data.qvel[:] = rng.normal(size=model.nv)
    mujoco.mj_forward(model, data)
    stiffness, damping, impedance, _ = data.efc_KBIP.T
    forgotten = -damping * data.efc_vel - stiffness * impedance * data.efc_pos - data.efc_aref

    @jax.jit
    def ours(qpos: jax.Array, qvel: jax.Array) -> jax.Array:
        mjx_model = mjx.put_model(model)
        made = mjx.make_data(mjx_model).replace(qpos=qpos, qvel=qvel)
        made = mjx.com_vel(mjx_model, mjx.com_pos(mjx_model, mjx.kinematics(mjx_model, made)))
        return drift(model, mjx_model, made)

    found = ours(data.qpos.astype(np.float32), data.qvel.astype(np.float32))
    np.testing.assert_allclose(found[:18], forgotten, atol=1e-5)
    assert abs(forgotten).max() > 1
    np.testing.assert_array_equal(found[18:], np.zeros(6))


@pytest.mark.slow
def test_mjx_swings_a_body_about_its_anchor_as_c_mujoco_does() -> None:
    assert compare(FEATURES["equality connect"], "mjx")["error"] < TOLERANCE


def test_an_equality_that_differs_between_worlds_is_refused_by_mjx() -> None:
    """google/brax#585: this field, too, takes effect at a reset only. Native carries it."""
    assert (
        "worlds cannot differ in mjModel.eq_active0" in compare(FEATURES["equality switched in a world"], "mjx")["refused"]
    )


@pytest.mark.parametrize("engine", ["native", pytest.param("mjx", marks=pytest.mark.slow)])
def test_a_mocap_body_stands_where_the_model_of_its_world_says(engine: str) -> None:
    """google/brax#585: at the start of an episode and after a step, in each world at a place of its own."""
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><body name="goal" mocap="true" pos="1 0 1"><geom size=".1"/></body>'
        '<body><joint axis="0 1 0"/><geom size=".1" pos=".5 0 0"/></body></worldbody></mujoco>'
    )
    made = make_engine(model, ("xpos",), engine, SolverConfig())
    places = jnp.array([[5.0, 0, 5], [6, 1, 2]])

    def play(place: jax.Array) -> tuple[jax.Array, jax.Array]:
        fields = {"body_pos": jnp.asarray(model.body_pos, jnp.float32).at[1].set(place)}
        state, at_first = made.init(jnp.zeros(1), jnp.zeros(1), fields)
        _, after = made.step(state, jnp.zeros(0), 2, fields)
        return at_first["xpos"][1], after["xpos"][1]

    for seen in jax.jit(jax.vmap(play))(places):
        np.testing.assert_allclose(seen, places, rtol=1e-6)


@pytest.mark.parametrize("engine", ["native", "mjx"])
def test_a_field_that_no_model_has_is_refused_by_name(engine: str) -> None:
    """A misspelt name in ``info["model"]``."""
    model = mujoco.MjModel.from_xml_string(FEATURES["integrator Euler"].xml)
    made = make_engine(model, (), engine, SolverConfig())
    with pytest.raises(ValueError, match=r"worlds cannot differ in mjModel\.body_poss: there is no such field"):
        jax.eval_shape(lambda: made.init(jnp.zeros(2), jnp.zeros(2), {"body_poss": jnp.zeros(3)}))

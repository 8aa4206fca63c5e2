"""`make_engine`, `candidates` and `resolve_engine`: which engine, with which settings."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs.engines import NativeEngine, SolverConfig, candidates, make_engine, resolve_engine

MODEL = (
    "<mujoco><worldbody><body><joint type='hinge' axis='0 1 0'/><geom size='.1' pos='1 0 0'/></body></worldbody></mujoco>"
)


@pytest.fixture
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(MODEL)


@pytest.mark.parametrize(
    ("backend", "version", "engines", "repeatable"),
    [
        ("cpu", "cpu", ("native",), ("native",)),
        ("gpu", "PJRT C API\ncuda 12090", ("warp", "mjx"), ("mjx",)),
        ("gpu", "PJRT C API\nrocm 60300", ("mjx",), ("mjx",)),
        ("tpu", "TFRT TPU v5", ("mjx",), ("mjx",)),
    ],
)
def test_auto_is_what_suits_the_machine(
    backend: str, version: str, engines: tuple[str, ...], repeatable: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr("envs.engines.get_backend", lambda: SimpleNamespace(platform_version=version))
    assert candidates("auto") == engines
    assert candidates("auto", repeatable=True) == repeatable
    assert resolve_engine("auto") == engines[-1]
    assert candidates("warp", repeatable=True) == ("warp",)


def test_an_unknown_integrator_is_answered_with_the_integrators(model: mujoco.MjModel) -> None:
    with pytest.raises(ValueError, match="unknown integrator 'verlet'; choose one of: euler, rk4, implicitfast"):
        make_engine(model, (), "native", SolverConfig(integrator="verlet"))


@pytest.mark.parametrize("name", ["iterations", "ls_iterations"])
def test_solver_settings_start_at_one(model: mujoco.MjModel, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        make_engine(model, (), "mjx", SolverConfig(**{name: 0}))


def test_the_integrator_is_taken_over_and_the_model_left_alone(model: mujoco.MjModel) -> None:
    ends = {}
    for integrator in ("euler", "rk4"):
        engine = make_engine(model, (), "native", SolverConfig(integrator=integrator))
        state, _ = engine.init(jnp.array([0.3]), jnp.array([2.0]))
        ends[integrator] = engine.step(state, jnp.zeros(0), 20)[0].qpos
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER
    data = mujoco.MjData(model)
    data.qpos, data.qvel = 0.3, 2.0
    mujoco.mj_step(model, data, nstep=20)
    np.testing.assert_allclose(ends["euler"], data.qpos, rtol=1e-5)
    assert abs(ends["rk4"][0] - data.qpos[0]) > 1e-4


def test_the_integrator_reaches_mjx(model: mujoco.MjModel) -> None:
    engine = make_engine(model, (), "mjx", SolverConfig(integrator="rk4"))
    assert engine.model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER


def test_the_solver_settings_reach_mjx() -> None:
    env = envs.make("inverted_pendulum", physics="mjx", solver=SolverConfig(iterations=3, ls_iterations=7))
    assert (env.engine.model.opt.iterations, env.engine.model.opt.ls_iterations) == (3, 7)
    env = envs.make("inverted_pendulum", physics="mjx")
    assert (env.engine.model.opt.iterations, env.engine.model.opt.ls_iterations) == env.mjx_iterations


def test_the_native_engine_keeps_the_models_own_solver() -> None:
    engine = envs.make("humanoid", physics="native").engine
    assert isinstance(engine, NativeEngine)
    assert engine.model.opt.solver == mujoco.mjtSolver.mjSOL_PGS
    assert engine.model.opt.iterations == 50


PENDULUM = """
<mujoco>
  <worldbody>
    <body>
      <joint name="hinge" type="hinge" axis="0 1 0" damping=".1" range="-170 170"/>
      <geom name="bob" size=".1" pos="1 0 0" mass="1"/>
      <site name="tip" pos="1 0 0"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge" gear="3"/></actuator>
  <sensor><framelinvel objtype="site" objname="tip"/><accelerometer site="tip"/></sensor>
</mujoco>
"""


def needs(engine_name: str) -> None:
    if engine_name == "warp":
        pytest.importorskip("warp")


@pytest.mark.parametrize("engine_name", ["mjx", "warp", "native"])
def test_worlds_may_differ_in_fields_of_the_model(engine_name: str) -> None:
    needs(engine_name)
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    engine = make_engine(model, ("xipos",), engine_name, SolverConfig())
    damping, gravity_arm = np.array([[0.1], [0.5], [2.0]], np.float32), np.array([1.0, 0.7, 0.4], np.float32)
    ipos = np.tile(model.body_ipos.astype(np.float32), (3, 1, 1))
    ipos[:, 1, 0] = gravity_arm

    @jax.jit
    @jax.vmap
    def run(damping: jax.Array, ipos: jax.Array) -> tuple:
        fields = {"dof_damping": damping, "body_ipos": ipos}
        state, _ = engine.init(jnp.array([0.3]), jnp.array([2.0]), fields)
        return engine.step(state, jnp.array([0.2]), 50, fields)

    got, derived = run(damping, ipos)
    for world in range(3):
        own = model.__copy__()
        own.dof_damping, own.body_ipos[1, 0] = damping[world], gravity_arm[world]
        data = mujoco.MjData(own)
        data.qpos, data.qvel, data.ctrl = 0.3, 2.0, 0.2
        mujoco.mj_forward(own, data)
        mujoco.mj_step(own, data, nstep=50)
        np.testing.assert_allclose(got.qpos[world], data.qpos, rtol=1e-4)
        np.testing.assert_allclose(derived["xipos"][world], data.xipos, atol=1e-4)
    assert len(np.unique(np.round(got.qpos, 3))) == 3


PLACES = """
<mujoco>
  <worldbody>
    <body pos="1 2 0" euler="0 0 90"><geom name="target" type="sphere" size=".1" pos="1 0 0"/></body>
    <body><joint name="slide" type="slide" axis="0 0 1"/><geom size=".1" pos="0 0 5"/></body>
  </worldbody>
  <actuator><motor joint="slide"/></actuator>
</mujoco>
"""


@pytest.mark.parametrize("engine_name", ["mjx", "warp", "native"])
def test_worlds_may_differ_in_where_a_fixed_geom_is(engine_name: str) -> None:
    needs(engine_name)
    model = mujoco.MjModel.from_xml_string(PLACES)
    engine = make_engine(model, ("geom_xpos",), engine_name, SolverConfig())

    @jax.jit
    @jax.vmap
    def run(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        fields = {"geom_pos": jnp.asarray(model.geom_pos, jnp.float32).at[0, 0].set(x)}
        state, derived = engine.init(jnp.zeros(1), jnp.zeros(1), fields)
        return derived["geom_xpos"][0], engine.step(state, jnp.zeros(1), 2, fields)[1]["geom_xpos"][0]

    for places in run(jnp.array([1.0, 3.0])):
        np.testing.assert_allclose(places, [[1, 3, 0], [1, 5, 0]], atol=1e-6)


def test_a_field_that_warp_would_ignore_is_refused() -> None:
    needs("warp")
    model = mujoco.MjModel.from_xml_string(PLACES)
    engine = make_engine(model, (), "warp", SolverConfig())
    with pytest.raises(ValueError, match=r"on the warp engine worlds cannot differ in mjModel\.body_pos: use mjx or native"):
        engine.init(jnp.zeros(1), jnp.zeros(1), {"body_pos": jnp.asarray(model.body_pos)})


@pytest.mark.parametrize("engine_name", ["mjx", "warp", "native"])
def test_current_fields_are_those_of_the_new_state(engine_name: str) -> None:
    """As in dm_control: what follows from positions and velocities is new, accelerations are those of the last substep."""
    needs(engine_name)
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    reads, derived = ("site_xpos", "sensordata"), {}
    state, _ = make_engine(model, reads, engine_name, SolverConfig()).init(jnp.array([0.3]), jnp.array([2.0]))
    for current in (False, True):
        engine = make_engine(model, reads, engine_name, SolverConfig(), current)
        _, derived[current] = jax.jit(lambda s, e=engine: e.step(s, jnp.array([0.2]), 3))(state)

    data = mujoco.MjData(model)
    data.qpos, data.qvel, data.ctrl = 0.3, 2.0, 0.2
    mujoco.mj_step(model, data, nstep=3)
    behind = data.site_xpos.copy(), data.sensordata.copy()
    np.testing.assert_allclose(derived[False]["site_xpos"], behind[0], rtol=1e-5)
    np.testing.assert_allclose(derived[False]["sensordata"], behind[1], rtol=1e-4, atol=1e-5)
    mujoco.mj_step1(model, data)
    np.testing.assert_allclose(derived[True]["site_xpos"], data.site_xpos, rtol=1e-5)
    np.testing.assert_allclose(derived[True]["sensordata"], data.sensordata, rtol=1e-4, atol=1e-5)
    assert np.abs(data.site_xpos - behind[0]).max() > 1e-3
    assert np.abs(data.sensordata[:3] - behind[1][:3]).max() > 1e-3
    np.testing.assert_array_equal(data.sensordata[3:], behind[1][3:])


def test_sensors_that_mjx_would_leave_at_zero_are_refused() -> None:
    model = mujoco.MjModel.from_xml_string(PENDULUM.replace('range="-170 170"', ""))
    with pytest.raises(NotImplementedError, match="sensors of acceleration in a model without constraints"):
        make_engine(model, ("sensordata",), "mjx", SolverConfig())
    make_engine(model, ("site_xpos",), "mjx", SolverConfig())


@pytest.mark.parametrize("engine_name", ["native", "mjx"])
def test_contacts_are_counted_alike(engine_name: str) -> None:
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><option><flag energy='enable'/></option><worldbody><geom type='plane' size='9 9 1'/>"
        "<body><joint type='slide' axis='0 0 1'/><geom size='.1'/></body></worldbody></mujoco>"
    )
    engine = make_engine(model, ("ncon",), engine_name, SolverConfig())
    height = jnp.array([[0.05], [0.099], [0.101], [1.0]])
    _, derived = jax.jit(jax.vmap(engine.init))(height, jnp.zeros((4, 1)))
    np.testing.assert_array_equal(derived["ncon"], [1, 1, 0, 0])

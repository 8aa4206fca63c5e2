"""`make_physics` and `resolve_engine`: which engine, with which settings."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs.physics import NativePhysics, SolverConfig, make_physics, resolve_engine

MODEL = (
    "<mujoco><worldbody><body><joint type='hinge' axis='0 1 0'/><geom size='.1' pos='1 0 0'/></body></worldbody></mujoco>"
)


@pytest.fixture
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(MODEL)


def test_auto_is_native_on_cpu_and_mjx_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert resolve_engine("auto") == "native"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert resolve_engine("auto") == "mjx"
    assert resolve_engine("native") == "native"


def test_an_unknown_integrator_is_answered_with_the_integrators(model: mujoco.MjModel) -> None:
    with pytest.raises(ValueError, match="unknown integrator 'verlet'; choose one of: euler, rk4, implicitfast"):
        make_physics(model, (), "native", SolverConfig(integrator="verlet"))


@pytest.mark.parametrize("name", ["iterations", "ls_iterations"])
def test_solver_settings_start_at_one(model: mujoco.MjModel, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        make_physics(model, (), "mjx", SolverConfig(**{name: 0}))


def test_the_integrator_is_taken_over_and_the_model_left_alone(model: mujoco.MjModel) -> None:
    ends = {}
    for integrator in ("euler", "rk4"):
        physics = make_physics(model, (), "native", SolverConfig(integrator=integrator))
        state, _ = physics.init(jnp.array([0.3]), jnp.array([2.0]))
        ends[integrator] = physics.step(state, jnp.zeros(0), 20)[0].qpos
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER
    data = mujoco.MjData(model)
    data.qpos, data.qvel = 0.3, 2.0
    mujoco.mj_step(model, data, nstep=20)
    np.testing.assert_allclose(ends["euler"], data.qpos, rtol=1e-5)
    assert abs(ends["rk4"][0] - data.qpos[0]) > 1e-4


def test_the_integrator_reaches_mjx(model: mujoco.MjModel) -> None:
    physics = make_physics(model, (), "mjx", SolverConfig(integrator="rk4"))
    assert physics.model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER


def test_the_solver_settings_reach_mjx() -> None:
    env = envs.make("inverted_pendulum", physics="mjx", solver=SolverConfig(iterations=3, ls_iterations=7))
    assert (env.physics.model.opt.iterations, env.physics.model.opt.ls_iterations) == (3, 7)
    env = envs.make("inverted_pendulum", physics="mjx")
    assert (env.physics.model.opt.iterations, env.physics.model.opt.ls_iterations) == env.mjx_iterations


def test_the_native_engine_keeps_the_models_own_solver() -> None:
    physics = envs.make("humanoid", physics="native").physics
    assert isinstance(physics, NativePhysics)
    assert physics.model.opt.solver == mujoco.mjtSolver.mjSOL_PGS
    assert physics.model.opt.iterations == 50

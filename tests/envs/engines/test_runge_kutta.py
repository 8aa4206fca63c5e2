"""The loop of stages against MJX's own, and against C MuJoCo where MJX's own cannot be used."""

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from benchmarks.feature_models import FEATURES
from benchmarks.features import TOLERANCE, compare
from envs.engines import runge_kutta
from envs.engines.mjx_import import mjx

MODEL = """
<mujoco><option integrator="RK4"/>
  <worldbody>
    <body><joint name="a" axis="0 1 0" damping="0.1"/><geom size="0.1" pos="0 0 -0.5"/>
      <body pos="0 0 -1"><joint type="ball"/><geom size="0.1" pos="0.1 0 -0.3"/></body></body>
    <body pos="2 0 0"><freejoint/><geom type="box" size="0.1 0.2 0.3"/></body>
  </worldbody>
  <actuator>
    <general joint="a" dyntype="filterexact" dynprm="0.1" gainprm="2" actlimited="true" actrange="-0.5 0.5"/>
    <general joint="a" dyntype="integrator" gainprm="1"/>
  </actuator>
</mujoco>
"""
"""all kinds of joints, and activations of which one meets its limit"""


@pytest.fixture(scope="module")
def stepped() -> tuple[Any, Any]:
    """Data after 50 steps, by the loop and by MJX."""
    model = mujoco.MjModel.from_xml_string(MODEL)
    mjx_model, data = mjx.put_model(model), mjx.make_data(model)
    qvel = np.random.default_rng(0).normal(size=model.nv)
    data = data.replace(qvel=jnp.float32(qvel), ctrl=jnp.array([1.0, 0.5]))

    def after(step: Any) -> Any:
        return jax.jit(lambda data: jax.lax.fori_loop(0, 50, lambda _, d: step(mjx_model, d), data))(data)

    return after(lambda m, d: runge_kutta.step(mjx.forward, m, d)), after(mjx.step)


@pytest.mark.parametrize("field", ["qpos", "qvel", "act", "time", "qacc", "qacc_warmstart", "act_dot", "xpos"])
def test_steps_equal_mjxs(stepped: tuple[Any, Any], field: str) -> None:
    ours, theirs = (getattr(data, field) for data in stepped)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert np.abs(theirs).max() > 0


@pytest.mark.parametrize(("backend", "copies"), [("cpu", 1), ("gpu", 4)])
def test_only_a_gpu_gets_a_copy_of_the_forward_dynamics_for_each_stage(
    monkeypatch: pytest.MonkeyPatch, backend: str, copies: int
) -> None:
    model = mujoco.MjModel.from_xml_string(MODEL)
    mjx_model, data = mjx.put_model(model), mjx.make_data(model)
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    step = jax.make_jaxpr(lambda data: runge_kutta.step(mjx.forward, mjx_model, data))(data)
    [stages] = [equation for equation in step.eqns if equation.primitive.name == "scan"]
    assert stages.params["unroll"] == copies


def test_a_connect_under_it_is_c_mujocos() -> None:
    """MJX's own integrator leaves no place for the term that `envs.engines.equality` adds."""
    found = compare(FEATURES["equality connect, integrator RK4"], "mjx")
    assert found["refused"] is None
    assert found["error"] < TOLERANCE

"""`envs.engines.mjx_fused`: MJX with its solver in one kernel steps as MJX does, and stays away where it is not known."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mujoco.mjx._src import forward, smooth, solver

import envs
from envs.engines import SolverConfig, make_engine, mjx_fused
from envs.engines.mjx_import import mjx
from tests.runs import long_but

TASKS = long_but(("inverted_pendulum",), ("inverted_pendulum", "hopper", "half_cheetah"))
WORLDS = 30


@functools.cache
def step(name: str, fused: Any) -> Any:
    """A task's jitted step of many worlds, compiled once."""
    return jax.jit(jax.vmap(envs.make(name, physics="mjx", solver=SolverConfig(fused=fused)).step))


@pytest.mark.parametrize("name", TASKS)
def test_one_step_equals_mjxs(name: str, states: Any) -> None:
    """From states of all kinds. Only the order of sums differs, which a contact of this step can enlarge."""
    state, action = jax.tree.map(lambda x: jnp.asarray(x[:: len(x) // WORLDS]), states(name))
    expected, got = step(name, "off")(state, action), step(name, "on")(state, action)
    np.testing.assert_allclose(got.physics.qpos, expected.physics.qpos, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got.physics.qvel, expected.physics.qvel, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(got.reward, expected.reward, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(got.terminated, expected.terminated)
    assert np.median(np.abs(got.physics.qvel - expected.physics.qvel).max(axis=1)) < 1e-5


@pytest.mark.parametrize("name", TASKS)
def test_worlds_stay_together_for_30_steps(name: str) -> None:
    """As well as those of MJX do which start a float32 rounding apart: half_cheetah's contacts are chaotic."""
    env = envs.make(name, physics="native")
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), WORLDS))
    actions = jax.random.uniform(jax.random.key(1), (30, WORLDS, env.action_size), minval=-1, maxval=1)
    rounded = state.physics.qpos * (1 + 2 * jnp.finfo(jnp.float32).eps)
    expected, got, control = (
        state,
        state,
        dataclasses.replace(state, physics=dataclasses.replace(state.physics, qpos=rounded)),
    )
    for action in actions:
        expected, control = step(name, "off")(expected, action), step(name, "off")(control, action)
        got = step(name, "on")(got, action)
    apart, chaos = (np.abs(one.physics.qpos - expected.physics.qpos).max(axis=1) for one in (got, control))
    assert np.median(apart) < 1e-5 + 10 * np.median(chaos)
    assert np.abs(expected.physics.qpos - state.physics.qpos).max() > 0.1


MODEL = """
<mujoco>
  <option cone="{cone}" solver="Newton" jacobian="{jacobian}"/>
  <worldbody>
    <geom type="plane" size="5 5 .1"/>
    <body pos="0 0 .1">
      <freejoint/>
      <geom type="sphere" size=".1"/>
      <body><joint type="hinge" frictionloss="{dry}"/><geom type="sphere" size=".1" pos="0 .3 0"/></body>
    </body>
  </worldbody>
</mujoco>
"""


def model(cone: str = "pyramidal", jacobian: str = "dense", dry: float = 0) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(MODEL.format(cone=cone, jacobian=jacobian, dry=dry))


def dynamics(of: mujoco.MjModel, fused: Any) -> Any:
    engine: Any = make_engine(of, (), "mjx", SolverConfig(fused=fused))
    return engine._dynamics


def test_auto_is_on_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dynamics(model(), "auto") is mjx
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert dynamics(model(), "off") is mjx
    assert dynamics(model(), "auto").solver is not solver
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert dynamics(model(), "auto") is mjx


def test_mjx_itself_stays_as_it_is() -> None:
    own = dynamics(model(), "on")
    assert own is not forward
    assert own.forward.__wrapped__.__code__ == forward.forward.__wrapped__.__code__
    assert (forward.solver, forward.smooth) == (solver, smooth)
    assert own.smooth.kinematics is smooth.kinematics
    assert own.smooth.solve_m is not smooth.solve_m


def test_this_mjx_is_known() -> None:
    """If it is not: read what changed in the parts of `mjx_fused.RELIED_ON`, run this file with a new digest, keep both."""
    assert mjx_fused.digest() in mjx_fused.KNOWN


@pytest.mark.parametrize("parts", [("forward", "smooth.kinematics"), ("forward", "smooth.no_such"), ("no_such",)])
def test_another_mjx_is_left_alone(parts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """One in which a part has another source, lacks a function, or lacks a module."""
    monkeypatch.setattr(mjx_fused, "RELIED_ON", parts)
    with pytest.raises(ValueError, match=r"physics\.fused cannot be on: this version of MJX .* is not known"):
        dynamics(model(), "on")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert dynamics(model(), "auto") is mjx


def test_it_says_that_another_mjx_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("envs.engines.mjx.warn_once", said.append)
    monkeypatch.setattr(mjx_fused, "KNOWN", frozenset({"another"}))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert dynamics(model(), "auto") is mjx
    assert len(said) == 1
    assert "is not known" in said[0]


@pytest.mark.parametrize(
    ("has", "said"),
    [
        (model(cone="elliptic"), "friction cones are elliptic"),
        (model(dry=0.1), "joints or tendons have dry friction"),
        (model(jacobian="sparse"), "the inertia is stored as a sparse matrix"),
    ],
    ids=["cone", "dry", "sparse"],
)
def test_a_model_that_it_does_not_know_is_left_to_mjx(has: mujoco.MjModel, said: str) -> None:
    with pytest.raises(ValueError, match=f"physics.fused cannot be on: {said}"):
        dynamics(has, "on")


def test_there_is_no_fourth_choice() -> None:
    with pytest.raises(ValueError, match=r"physics\.fused must be one of auto, on, off, not 'yes'"):
        make_engine(model(), (), "native", SolverConfig(fused="yes"))  # type: ignore[arg-type]

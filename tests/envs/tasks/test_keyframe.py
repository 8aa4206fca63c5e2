"""Keyframes and action scales: what a robot's model says of its home pose is where episodes start and what action 0 is."""

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs import Randomization
from envs.engines import PhysicsState

MODEL = """
<mujoco>
  <worldbody>
    <body name="table" pos="0 0 1"><joint name="drawer" type="slide" axis="1 0 0"/><geom size=".1"/></body>
    <body name="trunk" pos="1 0 1">
      <freejoint/>
      <geom size=".1"/>
      <body pos="0 0 -.3">
        <joint name="hip" axis="0 1 0" range="-90 45"/>
        <geom type="capsule" fromto="0 0 0 0 0 -.2" size=".03"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="hip" kp="30" kv="2" ctrlrange="-1.5 0.5"/>
    <general joint="drawer" gainprm="2" dyntype="filter" dynprm=".1"/>
  </actuator>
  <keyframe>
    <key name="home" qpos=".1 2 0 .5 1 0 0 0 -.9" qvel="0 0 0 .25 0 0 0 0" act=".7" ctrl="-.9 .2"/>
    <key name="lying" qpos="0 2 0 .1 1 0 0 0 0"/>
  </keyframe>
</mujoco>
"""


class Robot(envs.MujocoTask):
    """A trunk with a hip, beside a drawer."""

    name = "robot"
    frame_skip = 2
    keyframe = "home"
    action_scale = (0.5, 2.0)

    def load(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(MODEL)

    def observe(self, physics: PhysicsState, derived: dict, info: dict) -> jax.Array:
        return physics.qpos

    def score(self, physics: PhysicsState, derived: dict, ctrl: jax.Array, info: dict) -> tuple[dict[str, jax.Array], Any]:
        return {"height": physics.qpos[3]}, False


def make(**attributes: Any) -> envs.MujocoTask:
    return type("Robot", (Robot,), attributes)(physics="native")


def test_an_episode_starts_in_the_keyframe() -> None:
    task = make()
    state, key = jax.jit(task.reset)(jax.random.key(0)), task.model.key("home")
    for name in ("qpos", "qvel", "act"):
        np.testing.assert_allclose(getattr(state.physics, name), getattr(key, name), rtol=1e-6)
    assert state.physics.act == pytest.approx(0.7)


def test_a_step_begins_with_the_keyframes_activation() -> None:
    task = make()
    after = jax.jit(task.step)(jax.jit(task.reset)(jax.random.key(0)), jnp.zeros(2))
    data = mujoco.MjData(task.model)
    mujoco.mj_resetDataKeyframe(task.model, data, task.model.key("home").id)
    mujoco.mj_step(task.model, data, nstep=2)
    np.testing.assert_allclose(after.physics.qpos, data.qpos, atol=1e-6)
    np.testing.assert_allclose(after.physics.act, data.act, rtol=1e-6)


def test_action_0_is_the_keyframes_control_and_the_scale_is_around_it() -> None:
    ctrl = make().to_ctrl(jnp.array([[0.0, 0.0], [1.0, -1.0], [-2.0, 3.0]]))
    np.testing.assert_allclose(ctrl, [[-0.9, 0.2], [-0.4, -1.8], [-1.5, 6.2]], rtol=1e-6)  # the hip's control is clipped


def test_without_a_scale_the_actions_reach_both_limits() -> None:
    model = MODEL.replace('<general joint="drawer"', '<general joint="drawer" ctrlrange="-1 1"')
    task = make(action_scale=None, load=lambda self: mujoco.MjModel.from_xml_string(model))
    ctrl = task.to_ctrl(jnp.array([[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0], [-0.5, 0.5]]))
    np.testing.assert_allclose(ctrl, [[-0.9, 0.2], [0.5, 1.0], [-1.5, -1.0], [-1.2, 0.6]], rtol=1e-6)


def test_a_scale_without_a_keyframe_is_around_the_middle_or_zero() -> None:
    ctrl = make(keyframe=None, action_scale=0.25).to_ctrl(jnp.array([[0.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(ctrl, [[-0.5, 0.0], [-0.25, 0.25]], rtol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"keyframe": "hom"}, r"Robot.keyframe is 'hom', which the model lacks: its keyframes are home, lying"),
        ({"action_scale": (1.0, 2.0, 3.0)}, r"action_scale must be a positive number, or 2 of them, not \(1.0, 2.0, 3.0\)"),
        ({"action_scale": 0.0}, "action_scale must be a positive number, or 2 of them, not 0.0"),
        ({"action_scale": None}, r"does not limit \(1\): give them a ctrlrange, state an action_scale"),
        ({"to_ctrl": lambda self, action: action[:1]}, r"Robot.to_ctrl must return .* of shape \[2\], not .*\[1\]"),
        ({"to_ctrl": lambda self, action: None}, r"Robot.to_ctrl must return the controls of all actuators, .* not None"),
    ],
)
def test_a_mistake_is_one_sentence(attributes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make(**attributes)


def test_pushes_find_the_free_joint() -> None:
    task = make()
    assert task.push_dofs == (1, 2)  # the drawer has the first
    assert envs.make("reacher", physics="native").push_dofs == ()
    env = envs.RandomizedEnv(task, Randomization(push_speed=3.0, push_interval=1e-6))
    state = jax.jit(env.reset)(jax.random.key(0))
    change = jax.jit(env.step)(state, jnp.zeros(2)).physics.qvel - jax.jit(task.step)(state, jnp.zeros(2)).physics.qvel
    assert (np.abs(change[1:3]) > 0.01).all()

"""Randomisation of what differs between a robot and its model: each setting equals a model that was changed by hand."""

import dataclasses
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
  <option timestep="0.002" integrator="implicitfast" solver="Newton"/>
  <worldbody>
    <body name="trunk" pos="0 0 1">
      <freejoint/>
      <geom type="capsule" fromto="-.1 0 0 .2 0 0" size=".05"/>
      <site name="imu" pos=".05 0 0"/>
      <body pos="0 0 -.1">
        <joint name="hip" axis="0 1 0" damping="0.3" armature="0.02" frictionloss="0.4"/>
        <geom type="capsule" fromto="0 0 0 .05 0 -.2" size=".03"/>
        <body pos="0 0 -.2">
          <joint name="knee" axis="0 1 0" damping="0.2" armature="0.01" frictionloss="0.2"/>
          <geom type="capsule" fromto="0 0 0 0 0 -.2" size=".02"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="hip" kp="20" kv="1" ctrlrange="-1 1"/>
    <velocity joint="knee" kv="2" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""

SETTINGS = {
    "kp": (0.5, 0.6),
    "kd": (1.5, 2.0),
    "damping": (2.0, 3.0),
    "armature": (2.0, 4.0),
    "friction_loss": (0.3, 0.5),
    "gravity": (0.7, 0.8),
    "payload": (0.5, 1.0),
    "center_of_mass": 0.05,
    "joint_offset": 0.1,
}


class Robot(envs.MujocoTask):
    """A trunk on one leg, in the air."""

    name = "robot"
    frame_skip = 5

    def load(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(MODEL)

    def observe(self, physics: PhysicsState, derived: dict, info: dict) -> jax.Array:
        return jnp.concatenate([physics.qpos[-2:], physics.qvel[-2:]])

    def score(self, physics: PhysicsState, derived: dict, ctrl: jax.Array, info: dict) -> tuple[dict[str, jax.Array], Any]:
        return {"height": physics.qpos[2]}, False


def make(monkeypatch: pytest.MonkeyPatch, physics: str = "native", robot: type = Robot, **settings: Any) -> Any:
    monkeypatch.setitem(envs.TASKS, "robot", robot)
    return envs.make("robot", physics=physics, randomization=Randomization(**settings))


def changed_by_hand(model: mujoco.MjModel, drawn: dict[str, np.ndarray]) -> mujoco.MjModel:
    model = model.__copy__()
    one = {name: 1.0 for name in SETTINGS} | {"payload": 0.0, "center_of_mass": 0.0, "joint_offset": 0.0} | drawn
    kp, kd = np.broadcast_to(one["kp"], 2), np.broadcast_to(one["kd"], 2)
    model.actuator_gainprm[:, 0] *= [kp[0], kd[1]]
    model.actuator_biasprm[0, 1] *= kp[0]
    model.actuator_biasprm[:, 2] *= kd
    model.dof_damping *= one["damping"]
    model.dof_armature *= one["armature"]
    model.dof_frictionloss *= one["friction_loss"]
    model.opt.gravity *= one["gravity"]
    model.body_mass[1] += one["payload"]
    model.body_subtreemass[:2] += one["payload"]
    model.body_ipos[1] += one["center_of_mass"]
    model.qpos0[-2:] += one["joint_offset"]
    return model


@pytest.mark.parametrize(
    ("physics", "names"),
    [*(("native", [name]) for name in SETTINGS), ("mjx", list(SETTINGS)), ("warp", list(SETTINGS))],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_worlds_step_as_models_that_were_changed_by_hand(
    physics: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if physics == "warp":
        pytest.importorskip("warp")
    env = make(monkeypatch, physics, **{name: SETTINGS[name] for name in names})
    state = jax.jit(env.reset)(jax.random.key(3))
    drawn = jax.tree.map(lambda x: np.asarray(x, np.float64), state.info["factors"])
    assert set(drawn) == set(names)
    ctrl = np.array([0.7, -0.4])
    after = jax.jit(env.step)(state, jnp.asarray(ctrl, jnp.float32))
    results = []
    for model in (changed_by_hand(env.model, drawn), env.model):
        data = mujoco.MjData(model)
        data.qpos[:] = state.physics.qpos
        data.ctrl[:] = ctrl
        mujoco.mj_step(model, data, nstep=5)
        results.append(np.concatenate([data.qpos, data.qvel]))
    ours = np.concatenate([after.physics.qpos, after.physics.qvel])
    np.testing.assert_allclose(ours, results[0], rtol=1e-3, atol=3e-4)
    assert np.abs(results[0] - results[1]).max() > 3e-3  # the setting matters


def test_shapes_stay_where_they_are_when_a_centre_of_mass_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """C MuJoCo takes a geom's frame from its body's inertial frame where the two coincide, as here."""
    assert mujoco.MjModel.from_xml_string(MODEL).geom_sameframe[0] == mujoco.mjtSameFrame.mjSAMEFRAME_INERTIA

    class Seeing(Robot):
        reads = ("geom_xpos", "xipos")

        def observe(self, physics: PhysicsState, derived: dict, info: dict) -> jax.Array:
            return jnp.concatenate([derived["geom_xpos"][0], derived["xipos"][1]])

    shifted = jax.jit(make(monkeypatch, robot=Seeing, center_of_mass=0.05).reset)(jax.random.key(3))
    plain = jax.jit(make(monkeypatch, robot=Seeing).reset)(jax.random.key(3))
    np.testing.assert_allclose(shifted.obs[:3], plain.obs[:3], atol=1e-6)
    assert np.abs(shifted.obs[3:] - plain.obs[3:]).max() > 0.005


def test_noise_is_in_the_tasks_units(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = type("Robot", (Robot,), {"obs_noise_scale": (0.0, 1.0, 10.0, 100.0)})
    env = make(monkeypatch, robot=robot, obs_noise=0.1)
    noise = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 400)).obs
    np.testing.assert_allclose(np.std(noise, 0), [0.0, 0.1, 1.0, 10.0], rtol=0.15)
    robot = type("Robot", (Robot,), {"obs_noise_scale": (1.0, 2.0)})
    with pytest.raises(ValueError, match=r"robot.obs_noise_scale must be one number, or 4, not 2"):
        make(monkeypatch, robot=robot, obs_noise=0.1)


def test_observations_arrive_late_by_what_the_episode_drew(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(monkeypatch, obs_delay=2, privileged=True)
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 30))
    delay = np.asarray(state.info["obs_delay"])
    assert set(delay) == {0, 1, 2}
    step, true = jax.jit(jax.vmap(env.step)), [np.asarray(state.obs["privileged"])]
    for number in range(4):
        np.testing.assert_array_equal(
            state.obs["state"], [true[max(0, number - late)][world] for world, late in enumerate(delay)]
        )
        state = step(state, jnp.ones((30, 2)))
        true.append(np.asarray(state.obs["privileged"]))


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("kp", (0.5, 2.0), "hopper has no position actuator that --randomize.kp could vary"),
        ("kd", (0.5, 2.0), "hopper has no actuator with damping of its own that --randomize.kd could vary"),
        ("friction_loss", (0.5, 2.0), "hopper has no friction loss of joints that --randomize.friction-loss could vary"),
        ("payload", (0.0, 1.0), "hopper has no free body and no payload_body that --randomize.payload could load"),
        ("center_of_mass", 0.1, "no payload_body that --randomize.center-of-mass could shift"),
    ],
)
def test_what_a_model_lacks_is_refused_by_name(setting: str, value: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        envs.make("hopper", physics="native", randomization=Randomization(**{setting: value}))


@pytest.mark.parametrize(
    ("setting", "value"), [("payload", (2.0, 1.0)), ("payload", (-1.0, 1.0)), ("kd", (0.0, 1.0)), ("joint_offset", -0.1)]
)
def test_impossible_values_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^randomize.{setting} must"):
        dataclasses.replace(Randomization(), **{setting: value})


def test_the_payload_body_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(monkeypatch, robot=type("Robot", (Robot,), {"payload_body": "trunk"}), payload=(1.0, 1.0))
    assert jax.jit(env.reset)(jax.random.key(0)).info["model"]["body_mass"][1] == pytest.approx(env.model.body_mass[1] + 1)
    with pytest.raises(ValueError, match="robot has no body 'trnk', which its payload_body names"):
        make(monkeypatch, robot=type("Robot", (Robot,), {"payload_body": "trnk"}), payload=(1.0, 1.0))

"""The walking robots, on a small quadruped in place of the real one: rewards, commands, and what is said without models."""

import dataclasses
import math
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs import view
from envs.engines import PhysicsState
from envs.robots.walking import WalkingArgs

LEGS = ("FR", "FL", "RR", "RL")


def leg(name: str, x: float, y: float) -> str:
    joints = "".join(f'<joint name="{name}{axis}" axis="{axes}"/>' for axis, axes in (("a", "1 0 0"), ("b", "0 1 0")))
    return f"""
    <body name="{name}_thigh" pos="{x} {y} 0">
      {joints}<geom type="capsule" fromto="0 0 0 0 0 -.1" size=".02"/>
      <body pos="0 0 -.1">
        <joint name="{name}c" axis="0 1 0"/><geom type="capsule" fromto="0 0 0 0 0 -.1" size=".02"/>
        <geom name="{name}" type="sphere" pos="0 0 -.1" size=".02"/><site name="{name}" pos="0 0 -.11"/>
      </body>
    </body>"""


MODEL = f"""
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="0 0 .1"/>
    <body name="trunk" pos="0 0 .22">
      <freejoint/><camera name="tracking" mode="trackcom" pos="0 -1 1"/><geom type="box" size=".2 .1 .03"/>
      {leg("FR", 0.2, -0.1)}{leg("FL", 0.2, 0.1)}{leg("RR", -0.2, -0.1)}{leg("RL", -0.2, 0.1)}
    </body>
  </worldbody>
  <actuator>
    {"".join(f'<position joint="{name}{axis}" kp="9" ctrlrange="-1 1"/>' for name in LEGS for axis in "abc")}
  </actuator>
  <keyframe><key name="home" qpos="0 0 .22 1 0 0 0{" 0 .1 -.2" * 4}" ctrl="{" 0 .1 -.2" * 4}"/></keyframe>
</mujoco>
"""


@pytest.fixture(scope="module")
def menagerie(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with a robot of the Go1's names in it."""
    folder = tmp_path_factory.mktemp("menagerie")
    (folder / "unitree_go1").mkdir()
    (folder / "unitree_go1" / "scene.xml").write_text(MODEL)
    return folder


@pytest.fixture(scope="module")
def task(menagerie: pathlib.Path) -> Any:
    args = WalkingArgs(menagerie=menagerie)
    return envs.make("robots/go1-walk", args, "native", randomization=envs.NOT_RANDOMIZED)


def physics(task: Any, **changed: Any) -> PhysicsState:
    """The home pose at rest, but for what is changed."""
    qpos, zero = jnp.asarray(task.model.key("home").qpos, jnp.float32), jnp.zeros(18)
    return dataclasses.replace(PhysicsState(qpos, zero, jnp.zeros(0), zero, jnp.float32(task.dt)), **changed)


def scored(task: Any, state: PhysicsState, command: Any, soles: Any = (0.0,) * 4, **info: Any) -> tuple[dict, bool]:
    """The terms of the reward, and whether the robot has fallen."""
    feet = jnp.zeros((task.model.nsite, 3)).at[:, 2].set(jnp.array(soles) + task.sole)
    zero = jnp.zeros(12)
    known = {"commands": jnp.array([command]), "action": zero, "action_before": zero, "feet": feet.at[:, 2].add(-task.sole)}
    derived = {"site_xpos": feet, "actuator_force": jnp.full(12, 2.0)}
    terms, fallen = task.score(state, derived, zero, known | info)
    return {name: float(term) for name, term in terms.items()}, bool(fallen)


def test_the_model_is_the_robots_with_position_control_and_feet_that_alone_touch_the_floor(task: Any) -> None:
    model = task.model
    assert model.opt.timestep * task.frame_skip == pytest.approx(0.02)
    np.testing.assert_allclose(model.actuator_gainprm[:, 0], 35.0)
    np.testing.assert_allclose(model.actuator_biasprm[:, 1:3], [[-35.0, -0.5]] * 12)
    np.testing.assert_allclose(model.dof_damping, [0.0] * 6 + [0.5] * 12)
    touching = {model.geom(n).name for n in range(model.ngeom) if model.geom_contype[0] & model.geom_conaffinity[n]}
    assert touching == set(LEGS)
    assert not any(model.geom_contype[1:])
    np.testing.assert_allclose(task.to_ctrl(jnp.zeros(12)), model.key("home").ctrl, atol=1e-6)
    np.testing.assert_allclose(task.to_ctrl(jnp.ones(12)), model.key("home").ctrl + np.tile([0.3, 0.6, 0.8], 4), atol=1e-6)


def test_a_robot_that_does_as_commanded_earns_both_rewards_for_it(task: Any) -> None:
    turned = [math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]  # it looks along y, so that y is forward and -x to the right
    qpos = physics(task).qpos.at[3:7].set(jnp.array(turned))
    qvel = jnp.zeros(18).at[:2].set(jnp.array([-0.2, 0.7])).at[5].set(0.4)
    terms, _ = scored(task, physics(task, qpos=qpos, qvel=qvel), [0.7, 0.2, 0.4])
    assert terms["velocity"] == pytest.approx(1.5)
    assert terms["turn"] == pytest.approx(0.5)
    terms, _ = scored(task, physics(task, qpos=qpos, qvel=qvel), [0.2, 0.2, -0.1])
    assert terms["velocity"] == pytest.approx(1.5 * math.exp(-1))
    assert terms["turn"] == pytest.approx(0.5 * math.exp(-1))


def test_the_clock_asks_for_a_trot(task: Any) -> None:
    quarter = 1 / (4 * task.frequency)
    walk, stand = jnp.array([0.5, 0.0, 0.0]), jnp.zeros(3)
    np.testing.assert_allclose(task.foot_heights(jnp.float32(quarter), walk), [0.06, 0, 0, 0.06], atol=1e-6)
    np.testing.assert_allclose(task.foot_heights(jnp.float32(3 * quarter), walk), [0, 0.06, 0.06, 0], atol=1e-6)
    np.testing.assert_allclose(task.foot_heights(jnp.float32(quarter), stand), 0.0)
    later = physics(task, time=jnp.float32(quarter + task.dt))
    assert scored(task, later, walk, (0.06, 0.0, 0.0, 0.06))[0]["gait"] == pytest.approx(1.0)
    assert scored(task, later, walk)[0]["gait"] == pytest.approx(math.exp(-2))  # two feet that were not lifted


def test_each_cost_is_what_it_says(task: Any) -> None:
    zero = [0.0, 0.0, 0.0]
    terms, fallen = scored(task, physics(task), zero)
    assert not fallen
    assert {name for name, term in terms.items() if term} == {"velocity", "turn", "gait", "alive"}
    moving = physics(task, qvel=jnp.zeros(18).at[2].set(2.0).at[3].set(3.0).at[6].set(-4.0))
    terms, _ = scored(task, moving, zero, action=jnp.full(12, 0.5))
    assert terms["bounce"] == pytest.approx(-0.5 * 4)
    assert terms["wobble"] == pytest.approx(-0.05 * 9)
    assert terms["power"] == pytest.approx(-0.0005 * 2 * 4)
    assert terms["jerk"] == pytest.approx(-0.01 * 12 * 0.25)
    bent = physics(task, qpos=physics(task).qpos.at[7].add(0.2).at[8].add(0.2))
    assert scored(task, bent, zero)[0]["pose"] == pytest.approx(-0.55 * 0.04)
    slid = jnp.zeros((4, 3)).at[0, 0].set(0.02)  # one foot was 2 cm farther ahead one step ago
    assert scored(task, physics(task), zero, feet=slid)[0]["slip"] == pytest.approx(-0.1)
    assert scored(task, physics(task), zero, soles=(0.05, 0, 0, 0), feet=slid)[0]["slip"] == 0


@pytest.mark.parametrize(
    ("changed", "tilt", "fallen"), [({4: 0.2}, 0.1536, False), ({4: 0.6}, 0.9216, True), ({}, 0.0, False)]
)
def test_a_tilt_costs_and_too_much_of_it_is_a_fall(task: Any, changed: dict[int, float], tilt: float, fallen: bool) -> None:
    qpos = physics(task).qpos
    for index, value in changed.items():
        qpos = qpos.at[index].set(value).at[3].set(math.sqrt(1 - value**2))
    terms, ended = scored(task, physics(task, qpos=qpos), [0.0, 0.0, 0.0])
    assert terms["tilt"] == pytest.approx(-2 * tilt, abs=1e-6)
    assert ended == fallen


@pytest.mark.parametrize(("height", "fallen"), [(0.19, False), (0.17, True), (math.nan, True)])
def test_too_low_a_body_is_a_fall_and_so_is_nan(task: Any, height: float, fallen: bool) -> None:
    assert scored(task, physics(task, qpos=physics(task).qpos.at[2].set(height)), [0.0, 0.0, 0.0])[1] == fallen


def test_another_command_is_given_every_five_seconds_and_some_are_to_stand(task: Any) -> None:
    infos = jax.jit(jax.vmap(task.reset_pose))(jax.random.split(jax.random.key(0), 500))[2]
    commands = infos["commands"]
    assert commands.shape == (500, 4, 3)  # an episode has 20 s
    standing = (commands == 0).all(-1)
    assert 0.07 < standing.mean() < 0.13
    low, high = commands[~standing].min(0), commands[~standing].max(0)
    np.testing.assert_allclose(low, [-0.5, -0.4, -1.0], atol=0.02)
    np.testing.assert_allclose(high, [1.0, 0.4, 1.0], atol=0.02)
    one = {"commands": commands[0]}
    for time, number in ((0.0, 0), (4.99, 0), (5.01, 1), (19.99, 3), (20.01, 0)):
        np.testing.assert_array_equal(task.command(jnp.float32(time), one), commands[0, number])


def test_the_policy_observes_what_the_robot_measures_and_the_critics_more(menagerie: pathlib.Path) -> None:
    env = envs.make("robots/go1-walk", WalkingArgs(menagerie=menagerie), "native")  # randomised, as by default
    assert isinstance(env, envs.RandomizedEnv)
    assert (env.obs_size, env.privileged_size) == (3 + 3 + 3 + 2 + 3 * 12, 3 + 1 + 4)
    state, step = jax.jit(env.reset)(jax.random.key(1)), jax.jit(env.step)
    action = jnp.linspace(-1, 1, 12)
    for _ in range(3):
        state = step(state, action)
    observed = np.asarray(state.obs["state"])
    np.testing.assert_allclose(observed[6:9], env.command(state.physics.time, state.info))
    np.testing.assert_array_equal(observed[-12:], action)
    exact = env.task.observe(state.physics, {"site_xpos": jnp.zeros((4, 3))}, state.info)["state"]
    noise = np.abs(observed - exact)
    assert (noise[[*range(6), *range(11, 35)]] > 0).all()
    assert not noise[6:11].any()
    assert state.info["factors"].keys() == {"friction", "mass", "kp"}


def test_gravity_and_velocity_are_in_the_bodys_axes(task: Any) -> None:
    quaternion = np.array([0.5, 0.1, -0.7, 0.3]) / np.linalg.norm([0.5, 0.1, -0.7, 0.3])
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    state = physics(task, qpos=physics(task).qpos.at[3:7].set(quaternion), qvel=jnp.arange(18.0))
    info = {"commands": jnp.zeros((1, 3)), "action": jnp.zeros(12)}
    obs = task.observe(state, {"site_xpos": jnp.zeros((4, 3))}, info)
    np.testing.assert_allclose(obs["state"][:3], [3, 4, 5])
    np.testing.assert_allclose(obs["state"][3:6], matrix.reshape(3, 3).T @ [0, 0, -1], atol=1e-6)
    np.testing.assert_allclose(obs["privileged"][:3], matrix.reshape(3, 3).T @ [0, 1, 2], atol=1e-6)


@pytest.mark.parametrize("name", list(envs.ROBOT_TASKS))
def test_without_the_models_a_sentence_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("envs.menagerie.PACKAGES", ("no_such_package",))
    assert view.main([name, "--out", str(tmp_path / "film.png")]) == 2
    assert capsys.readouterr().err == (
        f"error: {name} needs MuJoCo Menagerie's robots, which are not installed: pip install 'mjx-tecrl[menagerie]', "
        "or train with --env.menagerie FOLDER, a checkout.\n"
    )
    with pytest.raises(ValueError, match=f"env.menagerie is no checkout of MuJoCo Menagerie: there is no folder {tmp_path}"):
        envs.make(name, WalkingArgs(menagerie=tmp_path))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"command_time": 0.0}, "command_time must be positive"), ({"standing": 1.5}, "standing must be 0")],
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        WalkingArgs(**wrong)

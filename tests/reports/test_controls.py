"""Controls: every action reaches the actuators, or the task is refused when it is made."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs.tasks.control_limits import ControlScaling, control_limits

MODEL = """
<mujoco>
  <worldbody>
    <body pos="0 0 1">
      <joint name="free" axis="0 1 0"/>
      <geom type="capsule" fromto="0 0 0 0 0 -.5" size=".03"/>
      <body>
        <joint name="limited" range="-90 45" actuatorfrcrange="-6 3"/>
        <geom size=".03" pos=".1 0 0"/>
      </body>
    </body>
  </worldbody>
  <tendon><fixed name="cord" range="-.1 .3"><joint joint="free" coef="1"/></fixed></tendon>
  <actuator>{}</actuator>
</mujoco>
"""


def task(actuators: str) -> type[envs.MujocoTask]:
    class Task(envs.MujocoTask):
        name = "robot"
        frame_skip = 1
        Args = envs.TaskArgs

        def load(self) -> mujoco.MjModel:
            return mujoco.MjModel.from_xml_string(MODEL.format(actuators))

        def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, dict]:
            return jnp.zeros(2), jnp.zeros(2), {}

        def observe(self, physics: envs.engines.PhysicsState, derived: dict, info: dict) -> jax.Array:
            return physics.qpos

        def score(
            self, physics: envs.engines.PhysicsState, derived: dict, ctrl: jax.Array, info: dict
        ) -> tuple[dict[str, jax.Array], jax.Array]:
            return {"angle": physics.qpos[0]}, jnp.zeros((), bool)

    return Task


@pytest.mark.parametrize(
    ("actuator", "low", "high"),
    [
        ('<motor joint="free" ctrlrange="-1 3"/>', -1, 3),
        ('<position joint="limited" ctrlrange="-1 3"/>', -1, 3),
        ('<position joint="limited" kp="7" forcerange="-1 1"/>', -np.pi / 2, np.pi / 4),
        ('<position joint="limited" kp="7" gear="-2" timeconst=".1"/>', -np.pi / 2, np.pi),
        ('<position tendon="cord" gear="2"/>', -0.2, 0.6),
        ('<general joint="free" gainprm="2" forcerange="-4 8"/>', -2, 4),
        ('<general joint="free" gainprm="-2" forcerange="-4 8" dyntype="filter" dynprm=".1"/>', -4, 2),
        ('<motor joint="limited" gear="2"/>', -3, 1.5),
        ('<muscle joint="free" lengthrange="-1 1"/>', 0, 1),
    ],
)
def test_actions_span_the_limits_that_the_model_has(actuator: str, low: float, high: float) -> None:
    """openai/gym#3124, strands-labs/robots PR#1944: without a ctrlrange the action space becomes a point."""
    made = task(actuator)(physics="native")
    np.testing.assert_allclose(jax.vmap(made.to_ctrl)(jnp.array([[-1.0], [1.0]]))[:, 0], [low, high], rtol=1e-6)


@pytest.mark.parametrize(
    "actuator",
    [
        '<motor name="{}" joint="free"/>',
        '<position name="{}" joint="free" forcerange="-1 1"/>',
        '<velocity name="{}" joint="limited"/>',
        '<intvelocity name="{}" joint="limited" actrange="-1 1"/>',
        '<general name="{}" joint="free" gaintype="affine" gainprm="1 1" forcerange="-1 1"/>',
    ],
)
def test_actuators_without_limits_are_refused_by_name(actuator: str) -> None:
    """openai/gym#3124: MuJoCo's range [0, 0] means unlimited, and made every action the control 0."""
    others = '<motor joint="free" ctrlrange="-1 1"/><motor joint="free"/>'
    sentence = r"robot has actuators .*\(elbow, 2\): give them a ctrlrange, state an action_scale, or override to_ctrl"
    with pytest.raises(ValueError, match=sentence):
        task(actuator.format("elbow") + others)(physics="native")


def test_a_task_that_says_itself_what_an_action_means_is_not_refused() -> None:
    """openai/gym#3124"""

    class Own(task('<motor joint="free"/>')):  # type: ignore[misc]
        def to_ctrl(self, action: jax.Array) -> jax.Array:
            return 3 * action

    own = Own(physics="native")
    state = jax.jit(own.step)(jax.jit(own.reset)(jax.random.key(0)), jnp.ones(1))
    assert state.physics.qvel[0] > 0.01


def test_a_model_without_actuators_is_refused() -> None:
    """openai/gym#3124: one sentence, in place of a division by zero when the networks are made."""
    with pytest.raises(ValueError, match="the model of robot has no actuators"):
        task("")(physics="native")


def test_the_tasks_of_gymnasium_and_dm_control_limit_their_controls_themselves() -> None:
    """Their actions mean what they meant before."""
    for kind in (*envs.GYMNASIUM_TASKS.values(), *envs.DMC_TASKS.values()):
        made = object.__new__(kind)  # without an engine, which takes longest to make
        made.args = kind.Args()
        model = made.load()
        limits, unlimited = control_limits(model)
        assert unlimited == []
        np.testing.assert_array_equal(limits, model.actuator_ctrlrange)


def test_controls_that_have_one_value_are_refused() -> None:
    """A range without width is no choice for a policy. (openai/gym#3124, again.)"""
    one = '<position joint="free" ctrlrange="0 1"/>'
    with pytest.raises(ValueError, match="leave it one value, so a policy could not move anything"):
        ControlScaling(model_with_range(one, 0.5))
    assert ControlScaling(model_with_range(one + '<motor joint="limited" ctrlrange="-1 1"/>', 0.5)).unlimited == []


def model_with_range(actuators: str, value: float) -> mujoco.MjModel:
    """The model with these actuators, the first of which can have no other control than ``value``."""
    model = mujoco.MjModel.from_xml_string(MODEL.format(actuators))
    model.actuator_ctrlrange[0] = value
    return model

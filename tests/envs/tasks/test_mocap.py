"""Mocap bodies are part of the state: a task moves them by its actions, and what is welded to them follows."""

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs.engines import PhysicsState
from envs.poses import pose, set_pose

MODEL = """
<mujoco>
  <option timestep="0.01" gravity="0 0 0"/>
  <worldbody>
    <body name="other" mocap="true" pos="5 0 0"><geom size=".1" contype="0" conaffinity="0"/></body>
    <body name="gripper" pos="0 0 1"><freejoint/><geom size=".1"/></body>
    <body name="hand" mocap="true" pos="0 0 1"><geom size=".1" contype="0" conaffinity="0"/></body>
  </worldbody>
  <equality><weld body1="hand" body2="gripper"/></equality>
</mujoco>
"""


class Reach(envs.MujocoTask):
    """A gripper that hangs at a mocap body, without any actuators, as in Gymnasium's robots."""

    name = "reach"
    frame_skip = 5
    mocap_actions = 3
    reads = ("mocap_pos",)

    def load(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(MODEL)

    def move_mocap(
        self, pos: jax.Array, quat: jax.Array, action: jax.Array, physics: PhysicsState, info: dict
    ) -> tuple[jax.Array, jax.Array]:
        return pos.at[1].add(0.05 * action), quat

    def observe(self, physics: PhysicsState, derived: dict, info: dict) -> jax.Array:
        return jnp.concatenate([physics.qpos[:3], derived["mocap_pos"].ravel()])

    def score(self, physics: PhysicsState, derived: dict, ctrl: jax.Array, info: dict) -> tuple[dict[str, jax.Array], Any]:
        return {"height": physics.qpos[2]}, False


def test_a_task_moves_a_mocap_body_and_the_welded_gripper_follows() -> None:
    """`test_engines` shows that the engines agree on where a mocap body is that ``body_pos`` of a world moves."""
    task = Reach(physics="native")
    assert (task.action_size, task.model.nu) == (3, 0)
    state = jax.jit(task.reset)(jax.random.key(0))
    action, step = jnp.array([1.0, 0.0, -0.5]), jax.jit(task.step)
    data = mujoco.MjData(task.model)
    mujoco.mj_resetData(task.model, data)
    for _ in range(8):
        state = step(state, action)
        data.mocap_pos[1] += 0.05 * np.asarray(action)
        mujoco.mj_step(task.model, data, nstep=5)
        np.testing.assert_allclose(state.physics.qpos, data.qpos, atol=2e-4)
    np.testing.assert_allclose(state.obs[3:], data.mocap_pos.ravel(), atol=1e-6)
    assert state.physics.qpos[0] > 0.2


def test_an_episode_begins_where_the_task_says() -> None:
    def reset_pose(self: Reach, key: jax.Array) -> Any:
        places = jnp.asarray(self.model.body_pos, jnp.float32).at[3, 0].set(0.5)
        return jnp.asarray(self.model.qpos0), jnp.zeros(6), {"model": {"body_pos": places}}

    task = type("Reach", (Reach,), {"reset_pose": reset_pose})(physics="native")
    state = jax.jit(task.reset)(jax.random.key(0))
    np.testing.assert_allclose(state.obs[3:], [5, 0, 0, 0.5, 0, 1], atol=1e-6)
    after = jax.jit(task.step)(state, jnp.ones(3))
    np.testing.assert_allclose(after.obs[6:], [0.55, 0.05, 1.05], atol=1e-6)


def test_films_show_them_where_they_are() -> None:
    task = Reach(physics="native")
    state = jax.jit(task.step)(jax.jit(task.reset)(jax.random.key(0)), jnp.ones(3))
    data = mujoco.MjData(task.model)
    set_pose(data, np.asarray(pose(task.model, state)))
    np.testing.assert_allclose(data.mocap_pos, [[5, 0, 0], [0.05, 0.05, 1.05]], atol=1e-6)
    np.testing.assert_array_equal(data.qpos, np.asarray(state.physics.qpos))
    hopper = envs.make("hopper", physics="native")
    assert pose(hopper.model, jax.eval_shape(hopper.reset, jax.random.key(0))).shape == (6,)


def test_a_wrong_move_is_one_sentence() -> None:
    task = type("Reach", (Reach,), {"move_mocap": lambda self, pos, *args: pos})(physics="native")
    state = jax.eval_shape(task.reset, jax.random.key(0))
    with pytest.raises(
        ValueError, match=r"Reach.move_mocap must return positions \[nmocap, 3\] and quaternions .*, not an array"
    ):
        jax.eval_shape(task.step, state, jnp.zeros(3))


def test_randomised_worlds_move_them_too() -> None:
    env = envs.RandomizedEnv(Reach(physics="native"), envs.Randomization(mass=(0.5, 2.0), action_delay=1))
    state = jax.jit(env.reset)(jax.random.key(0))
    for _ in range(3):
        state = jax.jit(env.step)(state, jnp.ones(3))
    assert state.obs[6] > 0.09

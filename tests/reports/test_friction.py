"""Randomised friction reaches every contact, however the model declares it."""

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs.randomization import Randomization
from envs.randomized_env import RandomizedEnv

BY_GEOMS = '<geom name="floor" type="plane" size="9 9 .1"/>', '<geom name="box" type="box" size=".1 .1 .1"/>', ""
BY_PAIR = (
    '<geom name="floor" type="plane" size="9 9 .1" contype="0" conaffinity="0"/>',
    '<geom name="box" type="box" size=".1 .1 .1" contype="0" conaffinity="0"/>',
    '<contact><pair geom1="floor" geom2="box"/></contact>',
)


def sliding(parts: tuple[str, str, str], factor: float, physics: str) -> RandomizedEnv:
    """A box that slides over the floor at 2 m/s, whose friction is ``factor`` times the model's."""

    class Task(envs.MujocoTask):
        name = "box"
        frame_skip = 1
        Args = envs.TaskArgs

        def load(self) -> mujoco.MjModel:
            floor, box, contact = parts
            return mujoco.MjModel.from_xml_string(
                f'<mujoco><worldbody>{floor}<body pos="0 0 .1"><freejoint name="free"/>{box}<body><joint name="j" '
                'damping="1"/><geom size=".01" contype="0" conaffinity="0"/></body></body></worldbody>'
                f'<actuator><motor joint="j" ctrlrange="-1 1"/></actuator>{contact}</mujoco>'
            )

        def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, dict]:
            return jnp.asarray(self.model.qpos0), jnp.zeros(7).at[0].set(2), {}

        def observe(self, physics: Any, derived: Any, info: Any) -> jax.Array:
            return physics.qpos

        def score(self, physics: Any, derived: Any, ctrl: Any, info: Any) -> tuple[dict[str, jax.Array], jax.Array]:
            return {"way": physics.qpos[0]}, jnp.zeros((), bool)

    return RandomizedEnv(Task(physics=physics), Randomization(friction=(factor, factor * 1.0001)))


def way(env: RandomizedEnv) -> float:
    """How far the box slides in a quarter of a second (m)."""
    state, step = jax.jit(env.reset)(jax.random.key(0)), jax.jit(env.step)
    for _ in range(125):
        state = step(state, jnp.zeros(1))
    return float(state.physics.qpos[0])


@pytest.mark.parametrize("factor", [0.3, 0.6])
def test_friction_of_contact_pairs_is_randomised_as_that_of_geoms(factor: float) -> None:
    """google-deepmind/mujoco_menagerie: the G1 for MJX declares its 49 contacts as pairs."""
    by_pair, unchanged = way(sliding(BY_PAIR, factor, "native")), way(sliding(BY_PAIR, 1.0, "native"))
    np.testing.assert_allclose(by_pair, way(sliding(BY_GEOMS, factor, "native")), rtol=1e-3)
    assert by_pair > 1.2 * unchanged


def test_mjx_takes_the_friction_of_pairs() -> None:
    env = sliding(BY_PAIR, 0.3, "mjx")
    state = jax.eval_shape(env.reset, jax.random.key(0))
    assert state.info["model"]["pair_friction"].shape == (1, 5)

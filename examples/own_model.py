"""A task on a model of your own: an arm, written in MJCF, lifts a weight and holds it up.

Train it with ``mjx-tecrl train --env examples/own_model.py:Lift --total-steps 40000``.
"""

import jax
import jax.numpy as jnp
import mujoco

import envs
from envs import Derived, Info, PhysicsState

MJCF = """
<mujoco>
  <option timestep="0.01" integrator="implicitfast"/>
  <worldbody><body name="arm" pos="0 0 1">
    <joint name="shoulder" axis="0 1 0" damping="0.05"/>
    <geom type="capsule" fromto="0 0 0 0 0 -0.5" size="0.03" density="200"/>
    <geom name="weight" type="sphere" pos="0 0 -0.5" size="0.08" mass="0.5"/>
  </body></worldbody>
  <actuator><motor joint="shoulder" gear="4" ctrlrange="-1 1"/></actuator>
</mujoco>
"""


class Lift(envs.MujocoTask):
    """Lift the weight above the shoulder and hold it there."""

    name = "lift"
    frame_skip, episode_length = 4, 250  # an action every 0.04 s, for 10 s
    Args = envs.TaskArgs

    def load(self) -> mujoco.MjModel:
        """The model above. For a model in a file, leave this out and state the file's path in ``xml``."""
        return mujoco.MjModel.from_xml_string(MJCF)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Where an episode starts: the arm hangs nearly straight down, at rest."""
        return jax.random.uniform(key, (1,), minval=-0.3, maxval=0.3), jnp.zeros(1), {}

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """Where the arm points, and how fast it turns."""
        return jnp.concatenate([jnp.sin(physics.qpos), jnp.cos(physics.qpos), physics.qvel])

    def score(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> tuple[dict, jax.Array]:
        """The reward's terms: the weight's height, between 0 and 1, minus a little for control. No episode ends early."""
        terms = {"height": (1 - jnp.cos(physics.qpos[0])) / 2, "ctrl": -0.01 * jnp.sum(ctrl**2)}
        return terms, jnp.zeros((), bool)

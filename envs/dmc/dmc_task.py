"""What all tasks of the DeepMind Control Suite share: models from dm_control, start states, one reward, no early end."""

import dataclasses
import importlib
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.base import State
from envs.engines import Derived, Engine, PhysicsState, SolverConfig
from envs.extras import MissingExtra
from envs.tasks.model_files import compile_model
from envs.tasks.mujoco_task import Info, MujocoTask, draw_until
from envs.tasks.task_args import CheckedArgs


@dataclasses.dataclass(frozen=True)
class DmcArgs(CheckedArgs):
    """Arguments of every task of the DeepMind Control Suite."""

    action_repeat: int = 1
    """control steps per action; their rewards are summed, and an episode has fewer environment steps by this factor"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.action_repeat <= DmcTask.episode_length:
            raise ValueError(f"env.action_repeat must be 1 to {DmcTask.episode_length}, not {self.action_repeat}")


class DmcTask(MujocoTask):
    """A task of the DeepMind Control Suite. Rewards are in [0, 1]; episodes have 1000 control steps and never end early.

    A subclass states the class attributes below and writes `features`, `reward`, and `reset_pose` if `random_joints` is not
    how its episodes start.
    """

    control_timestep: ClassVar[float]
    """seconds per control step"""
    current = True
    camera: ClassVar[str | int] = 0
    Args = DmcArgs

    def __init__(self, args: Any = None, physics: str = "auto", solver: SolverConfig = SolverConfig()):
        super().__init__(args, physics, solver)
        self.dt *= self.args.action_repeat
        self.episode_length //= self.args.action_repeat

    @property
    def substeps(self) -> int:
        """Physics steps per control step."""
        return round(self.control_timestep / self.model.opt.timestep)

    def load(self) -> mujoco.MjModel:
        """Loads the model as dm_control builds it.

        Raises:
          MissingExtra: dm_control is not installed.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # dm_control's renderers warn if there is no display
                suite = importlib.import_module(f"dm_control.suite.{self.domain()}")
        except ImportError as error:
            raise MissingExtra(self.name, "dm_control", "dmc") from error
        xml, assets = self.xml_and_assets(suite)
        return compile_model(mujoco.MjSpec.from_string(xml, include=assets, assets=assets))

    @classmethod
    def domain(cls) -> str:
        """The name of dm_control's module for this body."""
        return cls.name.removeprefix("dmc/").split("-")[0]

    @classmethod
    def source(cls) -> str:
        """Where the task comes from, in words."""
        return "DeepMind Control Suite"

    def xml_and_assets(self, suite: Any) -> tuple[str | bytes, dict[str, bytes]]:
        """The model's XML and its assets, from dm_control's module of the domain."""
        return suite.get_model_and_assets()

    def make_engine_at_reset(self) -> Engine:
        """Makes an engine without actuation, because dm_control switches the actuators off until the first control."""
        model = self.model.__copy__()
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
        # `touches` needs the number of contacts of one world, and Warp counts those of all worlds together.
        engine = "native" if self.engine_name == "warp" else self.engine_name
        return self.make_engine(model, (*self.reads, "ncon"), engine)

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws joints at random (`random_joints`). Everything is at rest."""
        return self.random_joints(key), jnp.zeros(self.model.nv), {}

    def features(self, physics: PhysicsState, derived: Derived, info: Info) -> list[jax.Array]:
        """The entries of dm_control's observation, in the same order. See `observe` for the arguments."""
        raise NotImplementedError

    def reward(self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info) -> jax.Array:
        """[] reward of one control step. See `score` for the arguments."""
        raise NotImplementedError

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> jax.Array:
        """dm_control's observation as one array."""
        return jnp.concatenate([jnp.ravel(feature) for feature in self.features(physics, derived, info)])

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """The reward as its only term. No episode ends early."""
        return {"reward": self.reward(physics, derived, ctrl, info)}, jnp.zeros((), bool)

    def step(self, state: State, action: jax.Array) -> State:
        """See `Env.step`. The reward is the sum over the control steps that repeat the action."""

        def control_step(_: int, before: State) -> State:
            after = super(DmcTask, self).step(before, action)
            return dataclasses.replace(
                after,
                reward=before.reward + after.reward,
                metrics=jax.tree.map(jnp.add, before.metrics, after.metrics),
            )

        fresh = dataclasses.replace(
            state, reward=jnp.zeros_like(state.reward), metrics=jax.tree.map(jnp.zeros_like, state.metrics)
        )
        return jax.lax.fori_loop(0, self.args.action_repeat, control_step, fresh)

    def random_joints(self, key: jax.Array) -> jax.Array:
        """Draws positions ``[nq]``, as dm_control does.

        A joint with limits is uniform between them, and a hinge without limits is uniform over a whole turn. A free body is
        turned: its quaternion is uniform in [0, 1]^4 before it is normalised. Free bodies stay where they are in the
        reference pose, and so do slides without limits.
        """
        model = self.model
        key_joints, key_free = jax.random.split(key)
        hinge, free = (model.jnt_type == kind for kind in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_FREE))
        limited = model.jnt_limited.astype(bool)
        drawn = limited | hinge
        low, high = np.where(limited[:, None], model.jnt_range, (-np.pi, np.pi))[drawn].T
        angles = jax.random.uniform(key_joints, low.shape, minval=low, maxval=high)
        qpos = jnp.asarray(model.qpos0, jnp.float32).at[model.jnt_qposadr[drawn]].set(angles)
        turned = model.jnt_qposadr[free][:, None] + np.arange(3, 7)
        quaternions = jax.random.uniform(key_free, turned.shape)
        return qpos.at[turned].set(quaternions / jnp.linalg.norm(quaternions, axis=-1, keepdims=True))

    def draw_free_of_contact(self, key: jax.Array, draw: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """Calls ``draw`` with fresh keys until it returns positions ``[nq]`` in which nothing touches, and returns those."""
        return draw_until(key, draw, lambda qpos: ~self.touches(qpos))

    def touches(self, qpos: jax.Array) -> jax.Array:
        """[] bool: there is a contact in these positions ``[nq]``."""
        return self.engine_at_reset.init(qpos, jnp.zeros(self.model.nv))[1]["ncon"] > 0

    def frame(self, derived: Derived, body: str) -> jax.Array:
        """``[3, 3]`` orientation of a body. Its columns are the body's axes, in the world's coordinates."""
        return derived["xmat"].reshape(-1, 3, 3)[self.model.body(body).id]

    def sensors(self, derived: Derived, *names: str) -> jax.Array:
        """Readings of the sensors of these names, one after the other."""
        sensors = [self.model.sensor(name) for name in names]
        index = [np.arange(sensor.adr[0], sensor.adr[0] + sensor.dim[0]) for sensor in sensors]
        return derived["sensordata"][np.concatenate(index)]

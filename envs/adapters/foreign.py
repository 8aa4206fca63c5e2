"""Environments of Brax and MuJoCo Playground as our tasks: ``brax/<name>`` and ``playground/<Name>``.

The wrappers of those libraries throw the final observation away at an automatic reset. So the unwrapped environments are
used here, and `VectorEnv` resets them.
"""

import dataclasses
import pathlib
import warnings
from collections.abc import Collection
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import mujoco

from envs.base import Obs, State, obs_sizes
from envs.engines import SolverConfig
from envs.extras import MissingExtra
from envs.menagerie import find_robot, missing_robot
from envs.names import nearest
from envs.randomization import NOT_RANDOMIZED, Randomization
from envs.tasks.task_args import CheckedArgs


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ForeignState:
    """State of one world, as the other library has it."""

    state: Any

    @property
    def qpos(self) -> jax.Array:
        """``[nq]`` joint positions."""
        inner = self.state
        return inner.data.qpos if hasattr(inner, "data") else inner.pipeline_state.q


class ForeignTask:
    """Another library's environment as an `Env`. It uses its own physics engine, and its actions are in [-1, 1].

    Args:
      args: constructor arguments, an instance of ``Args``; None for the defaults.
      physics: not used.
      solver: not used.

    Raises:
      ValueError: the library or the robot that it needs is not installed, or it has no environment of that name.
    """

    library: ClassVar[str]
    package: ClassVar[str]
    name: ClassVar[str]
    foreign_name: ClassVar[str]
    engine_name = "its own"
    engines: ClassVar[tuple[str, ...]] = ("its own",)
    randomization: ClassVar[Randomization] = NOT_RANDOMIZED
    camera = -1
    episode_length: int
    Args: ClassVar[type]

    def __init__(self, args: Any = None, physics: str = "auto", solver: SolverConfig = SolverConfig()):
        self.args = self.Args() if args is None else args
        self.env = self._load()
        self.action_size: int = self.env.action_size
        self.dt = float(self.env.dt)
        self.obs_size, self.privileged_size = obs_sizes(jax.eval_shape(self.reset, jax.random.key(0)).obs)

    @classmethod
    def source(cls) -> str:
        """Where the task comes from, in words."""
        return cls.library

    @classmethod
    def missing(cls) -> MissingExtra:
        """The refusal where the library is not installed."""
        return MissingExtra(cls.name, cls.library, cls.library.lower())

    def reset(self, key: jax.Array) -> State:
        """See `Env.reset`."""
        return self._wrap(self.env.reset(key))

    def step(self, state: State, action: jax.Array) -> State:
        """See `Env.step`."""
        return self._wrap(self.env.step(state.physics.state, action))

    def to_ctrl(self, action: jax.Array) -> jax.Array:
        """Returns ``action``: the other library expects actions in [-1, 1] as well."""
        return action

    def make_gymnasium(self) -> Any:
        """Gymnasium has none of these tasks.

        Raises:
          ValueError: always.
        """
        raise ValueError(f"{self.name} has no equal in Gymnasium")

    @property
    def model(self) -> mujoco.MjModel:
        """MuJoCo's model of the environment, for films."""
        raise NotImplementedError

    def _load(self) -> Any:
        raise NotImplementedError

    def _wrap(self, state: Any) -> State:
        return State(
            physics=ForeignState(state),
            obs=_obs(state.obs),
            reward=jnp.asarray(state.reward, jnp.float32),
            terminated=state.done > 0.5,
            truncated=jnp.zeros((), bool),
            metrics={name: jnp.asarray(x, jnp.float32) for name, x in state.metrics.items() if jnp.ndim(x) == 0},
            info={},
        )


def _obs(obs: Any) -> Obs:
    if not hasattr(obs, "items"):
        return jnp.asarray(obs, jnp.float32)
    if "privileged_state" in obs:
        return {"state": obs["state"], "privileged": obs["privileged_state"]}
    return jnp.asarray(obs["state"], jnp.float32)


@dataclasses.dataclass(frozen=True)
class BraxArgs:
    """Arguments of a Brax environment."""

    backend: str = "generalized"
    """Brax's engine: generalized, positional, spring or mjx"""


class BraxTask(ForeignTask):
    """An environment of Brax."""

    library = "Brax"
    package = "brax"
    name = "brax/<name>"
    episode_length = 1000
    Args = BraxArgs

    @property
    def model(self) -> mujoco.MjModel:
        """MuJoCo's model of the environment, for films."""
        return self.env.sys.mj_model

    def _load(self) -> Any:
        with warnings.catch_warnings():
            # Brax warns of itself.
            warnings.filterwarnings("ignore", message=".*no longer maintained|.*actively being maintained")
            try:
                import brax.envs as brax_envs
            except ImportError as error:
                raise self.missing() from error
            _check_name(self.foreign_name, brax_envs._envs)
            return brax_envs.get_environment(self.foreign_name, backend=self.args.backend)


@dataclasses.dataclass(frozen=True)
class PlaygroundArgs(CheckedArgs):
    """Arguments of a Playground environment."""

    impl: Literal["jax", "warp"] = "jax"
    """implementation of MJX; warp is refused"""
    menagerie: pathlib.Path | None = None
    """a checkout of MuJoCo Menagerie, for robots; default: the installed packages, or where Playground keeps its own"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.impl == "warp":  # its arrays of contacts have no axis of worlds, so no world could start an episode alone
            raise ValueError(
                "env.impl must be jax: under warp, Playground's worlds share one buffer of contacts, and cannot be reset one"
                " by one; the tasks robots/... run on --physics warp"
            )


class PlaygroundTask(ForeignTask):
    """An environment of MuJoCo Playground."""

    library = "Playground"
    package = "mujoco_playground"
    name = "playground/<name>"
    Args = PlaygroundArgs

    @property
    def model(self) -> mujoco.MjModel:
        """MuJoCo's model of the environment, for films."""
        return self.env.mj_model

    def _load(self) -> Any:
        try:
            from mujoco_playground import registry
            from mujoco_playground._src import mjx_env
        except ImportError as error:
            raise self.missing() from error
        _check_name(self.foreign_name, registry.ALL_ENVS)
        config = registry.get_default_config(self.foreign_name)
        config.impl = self.args.impl
        self.episode_length = config.episode_length
        own = mjx_env.MENAGERIE_PATH
        mjx_env.MENAGERIE_PATH = _Menagerie(self.name, self.args.menagerie, own)
        try:
            return registry.load(self.foreign_name, config)
        finally:
            mjx_env.MENAGERIE_PATH = own


class _Menagerie:
    """Stands for the folder in which Playground looks for robots, and which it would otherwise clone from the internet.

    Args:
      task: name of the task, for the refusal.
      folder: a checkout that the user names, or None.
      own: where Playground would put its checkout.
    """

    def __init__(self, task: str, folder: pathlib.Path | None, own: Any):
        self._task, self._folder, self._own = task, folder, own

    def exists(self) -> bool:
        """There is nothing to download."""
        return True

    def __truediv__(self, robot: str) -> Any:
        """The folder of a robot.

        Raises:
          MissingExtra: there is none.
        """
        found = find_robot(robot, self._folder) or self._own / robot
        if not found.exists():
            raise missing_robot(self._task)
        return type(self._own)(found)


def _check_name(name: str, names: Collection[str]) -> None:
    if name not in names:
        raise ValueError(f"it has no environment {name!r}; did you mean {nearest(name, names)}?")


LIBRARIES: dict[str, type[ForeignTask]] = {"brax": BraxTask, "playground": PlaygroundTask}
"""The class of a library's tasks by the prefix of their names."""


def foreign_task(name: str) -> type[ForeignTask] | None:
    """The task class for a name such as ``brax/ant``, or None if the name belongs to no other library."""
    library, _, foreign_name = name.partition("/")
    if library not in LIBRARIES:
        return None
    kind = LIBRARIES[library]
    return type(kind.__name__, (kind,), {"name": name, "foreign_name": foreign_name, "__doc__": kind.__doc__})

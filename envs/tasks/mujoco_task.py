"""What all tasks on a MuJoCo model share: resets, the scaling of actions, the step, and the sum of the reward's terms."""

import copy
import dataclasses
import functools
import pathlib
import sys
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import gymnasium
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.base import Obs, State, obs_sizes
from envs.command import expanded
from envs.engines import ENGINES, OVERFLOW, Derived, Engine, PhysicsState, SolverConfig, make_engine, resolve_engine
from envs.engines.native import silent
from envs.randomization import NOT_RANDOMIZED, Randomization, Range
from envs.tasks.contract import ask, check_class
from envs.tasks.control_limits import ControlScaling
from envs.tasks.model_files import ASSETS, find_model, gymnasium_on_model, load_model
from envs.tasks.task_args import CheckedArgs, TaskArgs

Info = dict[str, Any]
"""What a task keeps from one step to the next, see `State.info`. Under ``"model"``, if present, it holds `ModelFields`: the
fields of the model in which this episode's world differs."""


class MujocoTask:
    """A task on a MuJoCo model, written once for every engine.

    A subclass states the class attributes below and writes `observe` and `score`. It overrides

    - `load` if its model is not a file,
    - `reset_pose` if an episode does not start near the model's reference pose,
    - `remember` if `score` needs to know something about the state before the step,
    - `move_mocap` if mocap bodies move.

    Args:
      args: the task's constructor arguments.
      physics: the engine that steps it: mjx, warp or native; or auto, which is native on the CPU and mjx elsewhere. (Of
        `envs.make`, auto can be warp, too.)
      solver: how that engine solves.

    Raises:
      ValueError: an argument or a setting of the engine is out of range, the engine cannot simulate the model or lacks a
        field that the task reads, the model has no actuators, it does not limit the controls that `to_ctrl` scales, or the
        class lacks something or one of its methods fails or returns something else than it should (`envs.tasks.contract`).
    """

    name: ClassVar[str]
    xml: ClassVar[str]
    """model file: a name in Gymnasium's assets, or a path, from the folder of the class's file or the working directory"""
    frame_skip: ClassVar[int]
    """physics steps per environment step"""
    episode_length: int = 1000
    """time limit in environment steps"""
    qvel_noise: ClassVar[Callable[..., jax.Array]] = staticmethod(functools.partial(jax.random.uniform, minval=-1.0))
    """distribution of a start state's velocities, before they are scaled"""
    mjx_iterations: ClassVar[tuple[int, int]] = (100, 50)
    """(solver iterations, line-search steps) with which MJX equals C MuJoCo to float32; measured (docs/physics.md)"""
    warp_buffers: ClassVar[tuple[int | None, int | None]] = (None, None)
    """(contacts, constraint rows) that warp makes room for in each world; measured (docs/physics.md); None: its default"""
    gymnasium_id: ClassVar[str | None] = None
    """the task in Gymnasium that this one equals, when that is made with the arguments `MujocoTask.gymnasium_fixed`"""
    gymnasium_fixed: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """arguments of Gymnasium's task whose defaults differ from this task's"""
    current: ClassVar[bool] = False
    """whether derived fields belong to the new state, as in dm_control, or lag one substep behind it, as in Gymnasium"""
    randomization: ClassVar[Randomization] = NOT_RANDOMIZED
    """what differs from world to world unless the caller says otherwise"""
    payload_body: ClassVar[str | None] = None
    """the body that `Randomization.payload` and `Randomization.center_of_mass` are about; None: the first free one"""
    obs_noise_scale: ClassVar[float | tuple[float, ...]] = 1.0
    """units of noise in which `Randomization.obs_noise` counts, for all that the policy observes or for each number of it"""
    engines: ClassVar[tuple[str, ...]] = ENGINES
    """names of the physics engines that it runs on with its default arguments"""
    keyframe: ClassVar[str | None] = None
    """the model's keyframe that an episode starts in, and whose control is the action 0; None: the reference pose, and the
    middle between the limits of the controls"""
    action_scale: ClassVar[float | tuple[float, ...] | None] = None
    """how far the actions -1 and 1 are from the action 0, in the actuators' own units, for all or for each; controls are
    clipped to their limits; None: as far as the limits"""
    mocap_actions: ClassVar[int] = 0
    """how many numbers of an action, after those of the actuators, are for `move_mocap`"""
    camera: ClassVar[str | int] = -1
    """the model's camera for films; -1: one that sees everything that moves"""
    model_file: pathlib.Path | None = None
    """the file that `load` read; None where the model is not from a file"""
    Args: ClassVar[type[CheckedArgs]] = TaskArgs
    """dataclass of the task's constructor arguments; its fields become flags"""

    def __init__(self, args: Any = None, physics: str = "auto", solver: SolverConfig = SolverConfig()):
        self.args: Any = self.Args() if args is None else args
        check_class(self, MujocoTask)
        self.model = self.load()
        self.action_size = self.model.nu + self.mocap_actions
        if self.action_size == 0:
            raise ValueError(f"the model of {self.name} has no actuators, so a policy could not move anything")
        self._scaling = ControlScaling(self.model, self._key, self.action_scale)
        self.engine_name = resolve_engine(physics)
        self._solver = self._complete(solver)
        self.engine = self.make_engine(self.model, self.reads, self.engine_name)
        self.engine_at_reset = self.make_engine_at_reset()
        self.dt = self.model.opt.timestep * self.substeps
        if type(self).to_ctrl is MujocoTask.to_ctrl:
            self._check_limits()
        jax.eval_shape(lambda action: ask(self, "to_ctrl", action), jnp.zeros(self.action_size))
        self.obs_size, self.privileged_size = obs_sizes(jax.eval_shape(self.reset, jax.random.key(0)).obs)

    def _complete(self, solver: SolverConfig) -> SolverConfig:
        """``solver`` with this task's measured settings in place of those that are None."""
        names = ("iterations", "ls_iterations", "max_contacts", "max_constraints")
        measured = zip(names, (*self.mjx_iterations, *self.warp_buffers), strict=True)
        missing: dict[str, Any] = {name: value for name, value in measured if getattr(solver, name) is None}
        return dataclasses.replace(solver, **missing)

    @property
    def substeps(self) -> int:
        """Physics steps per environment step."""
        return self.args.frame_skip or self.frame_skip

    def load(self) -> mujoco.MjModel:
        """Loads the model, and notes its file in `model_file`.

        Raises:
          ValueError: there is no such file, or it is not a model.
        """
        if self.args.xml_file is not None:
            self.model_file = find_model(self.args.xml_file)
        else:
            self.model_file = self._own_file()
        return load_model(self.model_file)

    def _own_file(self) -> pathlib.Path:
        """The file that `xml` names: one of Gymnasium's, or beside the file of the class, or in the working directory."""
        path = expanded(self.xml)
        owner = next(kind for kind in type(self).__mro__ if "xml" in vars(kind))
        beside = pathlib.Path(getattr(sys.modules.get(owner.__module__), "__file__", None) or "").parent / path
        return next((file for file in (ASSETS / path, beside) if file.is_file()), path).absolute()

    @classmethod
    def source(cls) -> str:
        """Where the task comes from, in words."""
        if cls.gymnasium_id is None:
            return getattr(cls, "xml", "its own")  # a task that overrides `load` needs no file
        return cls.gymnasium_id + (" without contact forces" if cls.gymnasium_fixed else "")

    @property
    def reads(self) -> tuple[str, ...]:
        """The ``mjData`` fields that `observe`, `score` and `remember` read from ``derived``."""
        return ()

    def make_engine(self, model: mujoco.MjModel, reads: tuple[str, ...], engine_name: str) -> Engine:
        """Makes an engine for ``model`` with this task's solver settings.

        Raises:
          ValueError: the engine cannot simulate the model, or does not compute a field in ``reads``.
          NotImplementedError: the engine is not installed, or lacks a feature of the model.
        """
        try:
            return make_engine(model, reads, engine_name, self._solver, self.current)
        except ValueError as error:
            if engine_name in self.engines:
                raise
            raise ValueError(f"{self.name} runs on {' and '.join(self.engines)}: {error}") from error

    def make_engine_at_reset(self) -> Engine:
        """Makes the engine that computes start states. Here it is the one that steps the worlds."""
        return self.engine

    def make_gymnasium(self) -> gymnasium.Env:
        """Makes Gymnasium's own environment with the same arguments; where ``xml_file`` is one of them, on ``model``.

        Raises:
          ValueError: Gymnasium has no such task, or its task does not take these arguments.
        """
        if self.gymnasium_id is None:
            raise ValueError(f"{self.name} has no equal in Gymnasium")
        default = dataclasses.asdict(self.Args())
        changed = {name: value for name, value in dataclasses.asdict(self.args).items() if value != default[name]}
        spec: Any = copy.deepcopy(gymnasium.spec(self.gymnasium_id))
        if changed.pop("xml_file", None) is not None:
            spec.entry_point = gymnasium_on_model(spec.entry_point, self.model)
        with warnings.catch_warnings(), silent():
            warnings.filterwarnings("ignore", message=".*is out of date", category=DeprecationWarning)  # v4 is wanted here
            try:
                return gymnasium.make(spec, **{**self.gymnasium_fixed, **changed})
            except TypeError as error:
                raise ValueError(f"{self.gymnasium_id} does not take all of: {', '.join(changed)}") from error

    @property
    def push_dofs(self) -> tuple[int, ...]:
        """Indices into ``qvel`` of the velocities that a push changes, see `Randomization.push_speed`.

        The default is the horizontal velocity of the first body with a free joint, if there is one.
        """
        free = np.flatnonzero(self.model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        first = int(self.model.jnt_dofadr[free[0]]) if free.size else 0
        return (first, first + 1) if free.size else ()

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """Draws where an episode starts.

        The default is the pose and the velocities of `keyframe`, or else the model's reference pose at rest, plus noise of
        size ``args.reset_noise_scale``, or without noise where the arguments have no such field.

        Args:
          key: PRNG key; the same key gives the same start.

        Returns:
          positions ``[nq]``, velocities ``[nv]``, and what ``info`` keeps for the whole episode (here nothing). The entry
          ``"model"`` of the last changes the model for this episode, see `Info`.
        """
        key_qpos, key_qvel = jax.random.split(key)
        scale = getattr(self.args, "reset_noise_scale", 0.0)
        qpos = jnp.asarray(self.model.qpos0 if self._key is None else self._key.qpos, jnp.float32)
        qpos += scale * jax.random.uniform(key_qpos, qpos.shape, minval=-1.0)
        qvel = scale * self.qvel_noise(key_qvel, (self.model.nv,))
        return qpos, qvel if self._key is None else qvel + jnp.asarray(self._key.qvel, jnp.float32), {}

    def remember(self, physics: PhysicsState, derived: Derived) -> Info:
        """Returns what `score` of the next step needs to know about this state; it is merged into ``info``."""
        return {}

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> Obs:
        """Computes the observation: ``[obs_size]``, or a dict that also holds what only the critics see (`Obs`).

        Args:
          physics: the state.
          derived: the fields named in `reads`.
          info: what `reset_pose` returned at the episode's start, and what `remember` returned for this state.
        """
        raise NotImplementedError

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Computes the reward of a step.

        Args:
          physics: the state after the step.
          derived: the fields named in `reads`, after the step.
          ctrl: ``[nu]`` the control in the actuators' own units.
          info: what `reset_pose` returned at the episode's start, and `remember` for the state before the step.

        Returns:
          the terms of the reward by name (each ``[]``; their sum is the reward, and each is logged), and whether the episode
          terminated (``[]`` bool).
        """
        raise NotImplementedError

    def to_ctrl(self, action: jax.Array) -> jax.Array:
        """Scales an action ``[..., action_size]`` from [-1, 1] to the actuators' own units, ``[..., nu]``.

        The actions -1 and 1 become the limits that `envs.tasks.control_limits.control_limits` finds, and 0 their middle,
        unless `keyframe` or `action_scale` say otherwise (`envs.tasks.control_limits.ControlScaling`).

        Raises:
          ValueError: the model does not limit the controls of all actuators, and there is no `action_scale`.
        """
        self._check_limits()
        return self._scaling(action[..., : self.model.nu])

    def move_mocap(
        self, pos: jax.Array, quat: jax.Array, action: jax.Array, physics: PhysicsState, info: Info
    ) -> tuple[jax.Array, jax.Array]:
        """Says where the mocap bodies are in the step that begins. The default leaves them where they are.

        An episode begins with them where the model has them, or ``info["model"]`` of `reset_pose`, in ``body_pos`` and
        ``body_quat``. There they are kept from step to step.

        Args:
          pos: ``[nmocap, 3]`` where they were (m).
          quat: ``[nmocap, 4]`` how they were turned (unit quaternions).
          action: ``[mocap_actions]`` the end of the action, in [-1, 1].
          physics: the state before the step.
          info: as for `score`.

        Returns:
          both, after the move.
        """
        return pos, quat

    def _check_limits(self) -> None:
        if self._scaling.unlimited:
            raise ValueError(
                f"{self.name} has actuators whose controls the model does not limit ({', '.join(self._scaling.unlimited)}): "
                "give them a ctrlrange, state an action_scale, or override to_ctrl"
            )

    @functools.cached_property
    def _mocap(self) -> np.ndarray:
        """Numbers of the mocap bodies, in their own order, if the task moves them; empty otherwise."""
        moves = type(self).move_mocap is not MujocoTask.move_mocap
        return np.flatnonzero(self.model.body_mocapid >= 0) if moves else np.zeros(0, int)

    @functools.cached_property
    def _key(self) -> Any:
        """The model's keyframe that `keyframe` names, or None.

        Raises:
          ValueError: the model has none of that name.
        """
        if self.keyframe is None:
            return None
        names = [self.model.key(number).name for number in range(self.model.nkey)]
        if self.keyframe not in names:
            there = f"its keyframes are {', '.join(names)}" if names else "it has no keyframes"
            raise ValueError(f"{type(self).__name__}.keyframe is {self.keyframe!r}, which the model lacks: {there}")
        return self.model.key(self.keyframe)

    def applied(self, info: Info, action: jax.Array) -> jax.Array:
        """The action that reaches the actuators in place of ``action`` ``[action_size]``: the same, unless it is delayed."""
        return action

    def reset(self, key: jax.Array) -> State:
        """See `Env.reset`."""
        return self.reset_to(*ask(self, "reset_pose", key))

    def reset_to(self, qpos: jax.Array, qvel: jax.Array, info: Info) -> State:
        """The state at the start of an episode with the pose that `reset_pose` drew, or any other pose of that form."""
        if self._mocap.size:
            places = {name: jnp.asarray(getattr(self.model, name), jnp.float32) for name in ("body_pos", "body_quat")}
            info = info | {"model": places | dict(info.get("model", {}))}
        physics, derived = self._reset_physics(qpos, qvel, info)
        if self._key is not None and self.model.na:
            physics = dataclasses.replace(physics, act=jnp.asarray(self._key.act, jnp.float32))
        info = info | ask(self, "remember", physics, derived)
        terms, _ = jax.eval_shape(lambda: ask(self, "score", physics, derived, jnp.zeros(self.model.nu), info))
        names = [*terms, OVERFLOW] if self.engine_name == "warp" else [*terms]
        return State(
            physics=physics,
            obs=ask(self, "observe", physics, derived, info),
            reward=jnp.zeros(()),
            terminated=jnp.zeros((), bool),
            truncated=jnp.zeros((), bool),
            metrics={name: jnp.zeros(()) for name in names},
            info=info,
        )

    def _reset_physics(self, qpos: jax.Array, qvel: jax.Array, info: Info) -> tuple[PhysicsState, Derived]:
        """The part of `reset_to` that the engine computes."""
        return self.engine_at_reset.init(qpos, qvel, info.get("model", {}))

    def step(self, state: State, action: jax.Array) -> State:
        """See `Env.step`.

        Raises:
          ValueError: ``action`` has another shape. A number that would broadcast is refused too.
        """
        if action.shape != (self.action_size,):
            raise ValueError(f"an action of {self.name} must have the shape [{self.action_size}], not {list(action.shape)}")
        ctrl, info = self.to_ctrl(action), state.info
        if self._mocap.size:
            info = self._with_mocap_moved(state.physics, action[self.model.nu :], info)
        physics, derived = self.engine.step(state.physics, ctrl, self.substeps, info.get("model", {}))
        terms, terminated = ask(self, "score", physics, derived, ctrl, info)
        overflow = {OVERFLOW: jnp.asarray(derived[OVERFLOW], jnp.float32)} if OVERFLOW in derived else {}
        info = info | ask(self, "remember", physics, derived)
        return State(
            physics=physics,
            obs=ask(self, "observe", physics, derived, info),
            reward=sum(terms.values(), jnp.zeros(())),
            terminated=terminated,
            truncated=jnp.zeros((), bool),
            metrics=terms | overflow,
            info=info,
        )

    def _with_mocap_moved(self, physics: PhysicsState, action: jax.Array, info: Info) -> Info:
        """``info`` of the step that begins, in which `move_mocap` has moved the mocap bodies."""
        fields = dict(info["model"])
        before = [fields[name][self._mocap] for name in ("body_pos", "body_quat")]
        moved = ask(self, "move_mocap", *before, action, physics, info)
        for name, value in zip(("body_pos", "body_quat"), moved, strict=True):
            fields[name] = fields[name].at[self._mocap].set(value)
        return info | {"model": fields}


def within(value: jax.Array, bounds: Range) -> jax.Array:
    """[] bool: all of ``value`` lies strictly between the two ``bounds``. NaN does not."""
    return jnp.all((bounds[0] < value) & (value < bounds[1]))


def draw_until(
    key: jax.Array, draw: Callable[[jax.Array], jax.Array], accept: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Calls ``draw`` with fresh keys until ``accept`` returns True for the result, and returns that result."""

    def again(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        key, draw_key = jax.random.split(carry[0])
        return key, draw(draw_key)

    first = again((key, jnp.zeros(())))
    return jax.lax.while_loop(lambda carry: ~accept(carry[1]), again, first)[1]

"""What all tasks on a MuJoCo model share: resets, action scaling, the step, the sum of reward terms."""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import jax
import jax.numpy as jnp
import mujoco

from envs.base import State
from envs.physics import Derived, PhysicsState, SolverConfig, make_physics

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class TaskArgs:
    """Constructor arguments of a task, named as Gymnasium v5 names them; each task extends them."""

    reset_noise_scale: float = 0.0
    """size of the random offset of a start state (rad, m, rad/s, m/s)"""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_range"):
                if not value[0] < value[1]:
                    raise ValueError(f"env.{field.name} must be an increasing pair, not {value}")
            elif isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"env.{field.name} must be finite, not {value}")
        if self.reset_noise_scale < 0:
            raise ValueError(f"env.reset_noise_scale must not be negative, not {self.reset_noise_scale}")


class MujocoTask:
    """A task on a MuJoCo model, written once for every engine.

    A subclass states the class attributes below and writes `observe` and `score`; `position` where a velocity is
    rewarded that is not that of the first coordinate.

    Args:
      args: the task's constructor arguments.
      physics: the engine that steps it: auto, mjx or native.
      solver: how that engine solves.

    Raises:
      ValueError: arguments or physics settings out of range, or an engine that lacks a field the task reads.
    """

    name: ClassVar[str]
    xml: ClassVar[str]
    """model file: a name in Gymnasium's assets, or a path"""
    frame_skip: ClassVar[int]
    """physics steps per environment step"""
    episode_length: ClassVar[int] = 1000
    """time limit in environment steps"""
    qvel_noise: ClassVar[Callable[..., jax.Array]] = staticmethod(functools.partial(jax.random.uniform, minval=-1.0))
    """distribution of a start state's velocities before scaling"""
    mjx_iterations: ClassVar[tuple[int, int]] = (100, 50)
    """(solver iterations, line-search steps) at which MJX equals C MuJoCo to float32, measured (docs/physics.md)"""
    gymnasium_id: ClassVar[str | None] = None
    """the task in Gymnasium that this one equals"""
    camera: ClassVar[str | int] = -1
    """the model's camera that films it"""
    Args: ClassVar[type[TaskArgs]]

    def __init__(self, args: Any = None, physics: str = "auto", solver: SolverConfig = SolverConfig()):
        self.args: Any = self.Args() if args is None else args
        model = _load(_model_path(self.xml))
        iterations, ls_iterations = self.mjx_iterations
        solver = dataclasses.replace(
            solver,
            iterations=iterations if solver.iterations is None else solver.iterations,
            ls_iterations=ls_iterations if solver.ls_iterations is None else solver.ls_iterations,
        )
        self.physics = make_physics(model, self.reads, physics, solver)
        self.dt = model.opt.timestep * self.frame_skip
        self.action_size = model.nu
        self._start = jnp.asarray(model.qpos0, jnp.float32)
        low, high = jnp.asarray(model.actuator_ctrlrange, jnp.float32).T
        self._ctrl_centre, self._ctrl_half_range = (high + low) / 2, (high - low) / 2
        self.obs_size = jax.eval_shape(self.reset, jax.random.key(0)).obs.shape[0]

    @property
    def reads(self) -> tuple[str, ...]:
        """The ``mjData`` fields that `observe`, `score` and `position` read from ``derived``."""
        return ()

    @property
    def gymnasium_kwargs(self) -> dict[str, Any]:
        """The arguments with which `gymnasium_id` is this task."""
        return dataclasses.asdict(self.args)

    def observe(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """The observation ``[obs_size]``."""
        raise NotImplementedError

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, velocity: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """The reward's terms, whose sum is the reward, and whether the episode terminated.

        Args:
          physics: the state after the step.
          derived: the fields named in `reads`, after the step.
          ctrl: ``[action_size]`` the control in the actuators' own units.
          velocity: mean velocity of `position` over the step (m/s).
        """
        raise NotImplementedError

    def position(self, physics: PhysicsState, derived: Derived) -> jax.Array:
        """The point ``[k]`` whose velocity `score` is given (m)."""
        return physics.qpos[:1]

    def to_ctrl(self, action: jax.Array) -> jax.Array:
        """An action ``[..., action_size]`` in [-1, 1] in the actuators' own units."""
        return self._ctrl_centre + self._ctrl_half_range * action

    def reset(self, key: jax.Array) -> State:
        """See `Env.reset`: the model's reference pose plus noise of size ``reset_noise_scale``."""
        key_qpos, key_qvel = jax.random.split(key)
        scale = self.args.reset_noise_scale
        nq, nv = self.physics.model.nq, self.physics.model.nv
        qpos = self._start + scale * jax.random.uniform(key_qpos, (nq,), minval=-1.0)
        physics, derived = self.physics.init(qpos, scale * self.qvel_noise(key_qvel, (nv,)))
        terms, _ = self.score(physics, derived, jnp.zeros(self.action_size), self.position(physics, derived))
        return State(
            physics=physics,
            obs=self.observe(physics, derived),
            reward=jnp.zeros(()),
            terminated=jnp.zeros((), bool),
            truncated=jnp.zeros((), bool),
            metrics=jax.tree.map(lambda x: jnp.zeros((), jnp.float32), terms),
            info={"position": self.position(physics, derived)},
        )

    def step(self, state: State, action: jax.Array) -> State:
        """See `Env.step`."""
        ctrl = self.to_ctrl(action)
        physics, derived = self.physics.step(state.physics, ctrl, self.frame_skip)
        position = self.position(physics, derived)
        terms, terminated = self.score(physics, derived, ctrl, (position - state.info["position"]) / self.dt)
        terms = {name: jnp.asarray(term, jnp.float32) for name, term in terms.items()}
        return State(
            physics=physics,
            obs=self.observe(physics, derived),
            reward=sum(terms.values(), jnp.zeros(())),
            terminated=terminated,
            truncated=jnp.zeros((), bool),
            metrics=terms,
            info={"position": position},
        )


def within(value: jax.Array, bounds: Range) -> jax.Array:
    """Whether all of ``value`` lies strictly inside ``bounds``; a NaN does not."""
    return jnp.all((bounds[0] < value) & (value < bounds[1]))


def _model_path(xml: str) -> pathlib.Path:
    assets = pathlib.Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
    return assets / xml


def _load(path: pathlib.Path) -> mujoco.MjModel:
    """The same model as ``MjModel.from_xml_path`` makes, without its warning that ``settotalmass`` is deprecated."""
    spec = mujoco.MjSpec.from_file(str(path))
    total_mass, spec.compiler.settotalmass = spec.compiler.settotalmass, -1
    model = spec.compile()
    if total_mass > 0:  # what the compiler would have done
        mujoco.mj_setTotalmass(model, total_mass)
        mujoco.mj_setConst(model, mujoco.MjData(model))
    return model

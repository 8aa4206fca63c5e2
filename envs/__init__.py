"""Physics engines, tasks, and many worlds of them at once."""

from typing import Any

from envs import opengl  # noqa: F401  imports MuJoCo, whether or not this machine can draw

# isort: split

import jax
import jax.numpy as jnp
import mujoco

from envs.adapters import foreign_task
from envs.adapters.foreign import ForeignTask
from envs.adapters.registration import gymnasium_id, register
from envs.base import Env, State
from envs.command import first_line
from envs.dmc import DMC_TASKS
from envs.engines import Derived, PhysicsState, SolverConfig, candidates
from envs.engines.support import warn_once
from envs.jax_settings import SIMULATION, check_jax_settings
from envs.names import nearest
from envs.own_code import as_own_code, installed, load_installed
from envs.randomization import NOT_RANDOMIZED, Randomization
from envs.randomized_env import RandomizedEnv, with_free_frames
from envs.robots import ROBOT_TASKS
from envs.rollout import Episodes, run_episodes
from envs.tasks import ALIASES, GYMNASIUM_TASKS, Info, MujocoTask, TaskArgs
from envs.tasks.contract import check_stated
from envs.vector import Row, VectorEnv, VectorState

__all__ = [
    "ALIASES",
    "DMC_TASKS",
    "GYMNASIUM_TASKS",
    "NOT_RANDOMIZED",
    "ROBOT_TASKS",
    "TASKS",
    "Derived",
    "Env",
    "Episodes",
    "Info",
    "MujocoTask",
    "PhysicsState",
    "Randomization",
    "RandomizedEnv",
    "Row",
    "SolverConfig",
    "State",
    "TaskArgs",
    "VectorEnv",
    "VectorState",
    "gymnasium_id",
    "make",
    "register",
    "run_episodes",
    "task",
]

TASKS: dict[str, type[MujocoTask]] = GYMNASIUM_TASKS | DMC_TASKS | ROBOT_TASKS
"""Every task of this project by its name on the command line. `task` says which other names there are."""


def task(name: str) -> type[MujocoTask] | type[ForeignTask]:
    """The task class of that name.

    Args:
      name: a key of `TASKS`; an alias; a name with another library's prefix (``brax/ant``); a class in a file or module of
        one's own (``my_robot.py:Lift``, ``my_package.tasks:Lift``), whose code is then run; or the name of a task that an
        installed package brings (`envs.own_code`).

    Raises:
      ValueError: there is no such task. The message offers the nearest names.
    """
    code = as_own_code(name)
    if code is not None:
        return _checked(name, code.load())
    foreign = foreign_task(name)
    if foreign is not None:
        return foreign
    name = ALIASES.get(name, name)
    if name in TASKS:
        return TASKS[name]
    brought = load_installed("env", name)
    if brought is None:
        raise ValueError(f"unknown env {name!r}; did you mean {nearest(name, [*TASKS, *ALIASES, *installed('env')])}?")
    return _checked(name, brought)


def _checked(name: str, kind: object) -> type[MujocoTask] | type[ForeignTask]:
    """What a file or a package gives for a task.

    Raises:
      ValueError: it is not a class of tasks, or lacks a name or arguments.
    """
    if not isinstance(kind, type) or not issubclass(kind, MujocoTask | ForeignTask):
        raise ValueError(f"{name} is not a task: a task is a class derived from envs.MujocoTask")
    check_stated(kind)
    return kind


def make(
    name: str,
    args: Any = None,
    physics: str = "auto",
    solver: SolverConfig = SolverConfig(),
    randomization: Randomization | None = None,
    model: mujoco.MjModel | None = None,
    repeatable: bool = False,
) -> MujocoTask | RandomizedEnv | ForeignTask:
    """Makes a task on a physics engine.

    Args:
      name: the task's name, see `task`.
      args: the task's constructor arguments, an instance of its ``Args``; None for the defaults.
      physics: name of the engine: auto, mjx, warp or native. auto is native on the CPU; on an NVIDIA GPU it is warp, or mjx
        where warp refuses the task or is not installed, which a warning then says; it is mjx elsewhere.
      solver: how the engine solves.
      randomization: what differs from world to world; None for what the task declares.
      model: the compiled model; None for what the task loads. Tasks that bring their own engine have none.
      repeatable: auto shall not be an engine that may compute other bits when it is run again, as warp may on a GPU.

    Raises:
      ValueError: a name is unknown, an argument is out of range, or a setting of JAX does not allow it.
      NotImplementedError: the engine is not installed, or lacks a feature of the model.
    """
    check_jax_settings(SIMULATION)
    kind = task(name)
    randomization = kind.randomization if randomization is None else randomization
    if issubclass(kind, MujocoTask):
        if model is not None:
            kind = _loading(kind, lambda _: model)
        if randomization.center_of_mass:
            kind = _loading(kind, lambda task, load=kind.load: with_free_frames(load(task)))
    *preferred, last = candidates(physics, repeatable)
    refusals = []
    for engine in preferred:
        try:
            made = _make(kind, args, engine, solver, randomization)
            _trace_step(made)
            return made
        except (ValueError, NotImplementedError) as error:
            refusals.append(first_line(error))
    made = _make(kind, args, last, solver, randomization)
    for refusal in refusals:  # only now: what every engine refuses is no reason to take this one
        warn_once(f"--physics auto takes {last}: {refusal}.")
    return made


def _make(
    kind: type[MujocoTask] | type[ForeignTask], args: Any, engine: str, solver: SolverConfig, randomization: Randomization
) -> MujocoTask | RandomizedEnv | ForeignTask:
    """Makes a task on one engine; see `make`."""
    made = kind(args, engine, solver)
    if randomization == NOT_RANDOMIZED:
        return made
    if not isinstance(made, MujocoTask):
        raise ValueError(f"{made.name} brings its own engine: --randomize does not reach into it")
    return RandomizedEnv(made, randomization)


def _trace_step(env: MujocoTask | RandomizedEnv | ForeignTask) -> None:
    """Traces a step of a task, in which its engine may refuse the fields of the model in which worlds differ.

    Raises:
      ValueError: it does.
    """
    if not isinstance(env, ForeignTask):
        state = jax.eval_shape(env.reset, jax.random.key(0))
        jax.eval_shape(env.step, state, jax.ShapeDtypeStruct((env.action_size,), jnp.float32))


def _loading(kind: type[MujocoTask], load: Any) -> type[MujocoTask]:
    """A task's class with another way to load its model."""
    return type(kind.__name__, (kind,), {"load": load, "__module__": kind.__module__})


for _name in (*TASKS, *ALIASES):
    register(gymnasium_id(_name), _name, task(_name).episode_length)

"""Physics engines, tasks, and many worlds of them at once."""

import difflib
from typing import Any

from envs.base import Env, State
from envs.physics import SolverConfig
from envs.rollout import Episodes, run_episodes
from envs.tasks import TASKS, MujocoTask, TaskArgs
from envs.vector import Row, VectorEnv, VectorState

__all__ = [
    "TASKS",
    "Env",
    "Episodes",
    "MujocoTask",
    "Row",
    "SolverConfig",
    "State",
    "TaskArgs",
    "VectorEnv",
    "VectorState",
    "make",
    "run_episodes",
    "task",
]


def task(name: str) -> type[MujocoTask]:
    """The task class registered under ``name``.

    Raises:
      ValueError: no such task; the message offers the nearest names.
    """
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=3, cutoff=0.4) or sorted(TASKS)
        raise ValueError(f"unknown env {name!r}; did you mean {', '.join(near)}?")
    return TASKS[name]


def make(name: str, args: Any = None, physics: str = "auto", solver: SolverConfig = SolverConfig()) -> MujocoTask:
    """The task ``name`` with its constructor arguments (an instance of its ``Args``), on a physics engine (auto: native on
    CPU, mjx elsewhere).

    Raises:
      ValueError: an unknown name, or arguments out of range.
    """
    return task(name)(args, physics, solver)

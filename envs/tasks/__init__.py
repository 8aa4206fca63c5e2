"""The tasks, one file per body. To add one: write its file and name its class in `TASKS`."""

from envs.tasks.half_cheetah import HalfCheetah
from envs.tasks.hopper import Hopper
from envs.tasks.humanoid import Humanoid
from envs.tasks.inverted_double_pendulum import InvertedDoublePendulum
from envs.tasks.inverted_pendulum import InvertedPendulum
from envs.tasks.mujoco_task import MujocoTask, TaskArgs

__all__ = ["TASKS", "MujocoTask", "TaskArgs"]

TASKS: dict[str, type[MujocoTask]] = {
    task.name: task for task in (Humanoid, Hopper, HalfCheetah, InvertedDoublePendulum, InvertedPendulum)
}
"""Every task by its name on the command line."""

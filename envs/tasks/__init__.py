"""The tasks of Gymnasium, one file per body, and what all tasks on a MuJoCo model share (`MujocoTask`)."""

from envs.tasks.ant import Ant, AntV4, AntV5
from envs.tasks.half_cheetah import HalfCheetah, HalfCheetahV4
from envs.tasks.hopper import Hopper, HopperV4
from envs.tasks.humanoid import Humanoid, HumanoidStandup, HumanoidStandupV4, HumanoidV4, HumanoidV5
from envs.tasks.inverted_double_pendulum import InvertedDoublePendulum, InvertedDoublePendulumV4
from envs.tasks.inverted_pendulum import InvertedPendulum, InvertedPendulumV4
from envs.tasks.mujoco_task import Info, MujocoTask
from envs.tasks.pusher import Pusher
from envs.tasks.reacher import Reacher, ReacherV4
from envs.tasks.swimmer import Swimmer, SwimmerV4
from envs.tasks.task_args import TaskArgs
from envs.tasks.walker2d import Walker2d, Walker2dV4

__all__ = ["ALIASES", "GYMNASIUM_TASKS", "Info", "MujocoTask", "TaskArgs"]

GYMNASIUM_TASKS: dict[str, type[MujocoTask]] = {
    task.name: task
    for task in (
        Humanoid,
        HumanoidV5,
        HumanoidV4,
        HumanoidStandup,
        HumanoidStandupV4,
        Ant,
        AntV5,
        AntV4,
        Walker2d,
        Walker2dV4,
        Hopper,
        HopperV4,
        HalfCheetah,
        HalfCheetahV4,
        Swimmer,
        SwimmerV4,
        Reacher,
        ReacherV4,
        Pusher,
        InvertedDoublePendulum,
        InvertedDoublePendulumV4,
        InvertedPendulum,
        InvertedPendulumV4,
    )
}
"""The tasks of Gymnasium, by their names on the command line. `envs.TASKS` holds all tasks."""

ALIASES = {
    f"{task.name}-v5": task.name
    for task in GYMNASIUM_TASKS.values()
    if (task.gymnasium_id or "").endswith("-v5") and not task.gymnasium_fixed and not task.name.endswith("-v5")
}
"""Second names, such as ``hopper-v5``, of the tasks that already equal Gymnasium's v5."""

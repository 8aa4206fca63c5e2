"""Real robots that walk as they are commanded. Their models are MuJoCo Menagerie's (extra ``menagerie``)."""

from envs.robots.g1 import G1Walk
from envs.robots.go1 import Go1Walk
from envs.robots.h1 import H1Walk
from envs.robots.walking import Walking, WalkingArgs

__all__ = ["ROBOT_TASKS", "Walking", "WalkingArgs"]

ROBOT_TASKS: dict[str, type[Walking]] = {task.name: task for task in (Go1Walk, G1Walk, H1Walk)}
"""The tasks by their names on the command line, ``robots/<robot>-<task>``."""

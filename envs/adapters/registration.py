"""The names by which ``gymnasium.make`` and ``gymnasium.make_vec`` make our tasks: ``mjx_tecrl/hopper``.

They are known once ``envs`` was imported: Gymnasium itself looks for none.
"""

import gymnasium


def register(env_id: str, name: str, episode_length: int) -> None:
    """Tells Gymnasium of a task.

    Args:
      env_id: how Gymnasium shall call it, such as ``mine/Lift-v0``.
      name: the task, as for `envs.make`, such as ``my_robot.py:Lift``. It is not loaded before it is made.
      episode_length: time limit in environment steps.
    """
    gymnasium.register(
        env_id,
        "envs.adapters.gymnasium_env:GymnasiumEnv",
        vector_entry_point="envs.adapters.gymnasium_vector:GymnasiumVectorEnv",
        max_episode_steps=episode_length,
        kwargs={"env": name},
    )


def gymnasium_id(name: str) -> str:
    """How Gymnasium calls a task of ours: ``mjx_tecrl/dmc_dog_run`` for ``dmc/dog-run``.

    Gymnasium does not allow a second slash. It would also take ``hopper-v4`` for a later version of ``hopper``.
    """
    return "mjx_tecrl/" + name.replace("/", "_").replace("-", "_")

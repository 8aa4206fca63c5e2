"""Restores a trained policy from a run directory."""

import dataclasses
import pathlib
import sys

import jax

from envs.command import UserError
from envs.rollout import Policy
from train.checkpoints import Checkpoints
from train.code_file import warn_of_changed_code
from train.compilation_cache import use_compilation_cache
from train.config import Config, load_config
from train.model_file import load_saved_model
from train.problem import Actor, Problem, make_problem, tracing_note
from train.run_dir import seed_configs


@dataclasses.dataclass(frozen=True)
class Restored:
    """A trained actor, and the task it was trained on.

    Attributes:
      problem: the task, the agent and their config.
      actor: the agent's state and the normaliser.
      step: environment steps for which it was trained.
    """

    problem: Problem
    actor: Actor
    step: int

    @property
    def policy(self) -> Policy:
        """The deterministic policy: ``obs [n, obs_size] -> action [n, action_size]`` in [-1, 1]."""
        return self.problem.policy(self.actor)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnCodeArgs:
    """Flags of each command that reads a run whose task or agent is in a file of one's own.

    Such a command runs the code only if it is named here: otherwise, a stranger's run directory could have any code run.
    """

    env: str | None = None
    """for a run on a task in a file of your own: the task once more, such as my_robot.py:Lift"""
    agent: str | None = None
    """for a run of an agent in a file of your own: the agent once more, such as my_agent.py:my_agent"""

    @property
    def own(self) -> dict[str, str | None]:
        """Both, as keyword arguments of `restore` and the others."""
        return {"env": self.env, "agent": self.agent}


def load_single_config(run_dir: pathlib.Path, env: str | None = None, agent: str | None = None) -> Config:
    """The config of a run directory of one seed.

    Args:
      run_dir: the run directory.
      env: see `train.config.config_from_json`.
      agent: likewise.

    Raises:
      UserError: there is no run, or it has several seeds; one sentence.
    """
    config = load_config(run_dir, env, agent)
    if config.num_seeds > 1:
        first = pathlib.Path(str(seed_configs(config, run_dir)[0].run_dir))
        raise UserError(f"{run_dir} holds {config.num_seeds} seeds: name one of them, such as {first}.")
    return config


def load_problem(
    run_dir: pathlib.Path, physics: str | None = None, env: str | None = None, agent: str | None = None
) -> Problem:
    """The task, on the model that it was trained on, and the agent of a run of one seed.

    Args:
      run_dir: the run directory.
      physics: engine to act in; None for the one it was trained on.
      env: the task, if it is in a file of one's own, such as ``my_robot.py:Lift``. Its code is then run.
      agent: the agent, likewise.

    Raises:
      UserError: there is no run, it has several seeds, or its model is damaged; one sentence.
    """
    config = load_single_config(run_dir, env, agent)
    warn_of_changed_code(run_dir, config)
    if physics is not None:
        config = dataclasses.replace(config, physics=physics).validate()
    use_compilation_cache(config.compilation_cache)
    if note := tracing_note(config):
        print(note, file=sys.stderr, flush=True)
    return make_problem(config, load_saved_model(run_dir))


def restore(
    run_dir: str | pathlib.Path,
    step: int | None = None,
    physics: str | None = None,
    env: str | None = None,
    agent: str | None = None,
) -> Restored:
    """Restores the policy of the newest checkpoint in a run directory, or of that of ``step``. It needs nothing else.

    Args:
      run_dir: the run directory.
      step: environment steps of the checkpoint; None for the newest.
      physics: engine to act in; None for the one it was trained on.
      env: the task, if it is in a file of one's own, such as ``my_robot.py:Lift``. Its code is then run.
      agent: the agent, likewise.

    Raises:
      UserError: there is no run, or no such checkpoint, or it is damaged; one sentence.
    """
    run_dir = pathlib.Path(run_dir)
    problem = load_problem(run_dir, physics, env, agent)
    step, parts, _ = Checkpoints(run_dir).restore({"actor": problem.actor_shapes()}, step=step)
    return Restored(problem, jax.device_put(parts["actor"]), step)

"""Restores a trained policy from a run directory."""

import dataclasses
import pathlib

import jax

from envs.command import UserError
from envs.rollout import Policy
from train.checkpoints import Checkpoints
from train.compilation_cache import use_compilation_cache
from train.config import Config, load_config
from train.model_file import load_saved_model
from train.problem import Actor, Problem, make_problem
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


def load_single_config(run_dir: pathlib.Path) -> Config:
    """The config of a run directory of one seed.

    Raises:
      UserError: there is no run, or it has several seeds; one sentence.
    """
    config = load_config(run_dir)
    if config.num_seeds > 1:
        first = pathlib.Path(str(seed_configs(config, run_dir)[0].run_dir))
        raise UserError(f"{run_dir} holds {config.num_seeds} seeds: name one of them, such as {first}.")
    return config


def load_problem(run_dir: pathlib.Path, physics: str | None = None) -> Problem:
    """The task, on the model that it was trained on, and the agent of a run of one seed.

    Args:
      run_dir: the run directory.
      physics: engine to act in; None for the one it was trained on.

    Raises:
      UserError: there is no run, it has several seeds, or its model is damaged; one sentence.
    """
    config = load_single_config(run_dir)
    if physics is not None:
        config = dataclasses.replace(config, physics=physics).validate()
    use_compilation_cache(config.compilation_cache)
    return make_problem(config, load_saved_model(run_dir))


def restore(run_dir: str | pathlib.Path, step: int | None = None, physics: str | None = None) -> Restored:
    """Restores the policy of the newest checkpoint in a run directory, or of that of ``step``. It needs nothing else.

    Args:
      run_dir: the run directory.
      step: environment steps of the checkpoint; None for the newest.
      physics: engine to act in; None for the one it was trained on.

    Raises:
      UserError: there is no run, or no such checkpoint, or it is damaged; one sentence.
    """
    run_dir = pathlib.Path(run_dir)
    problem = load_problem(run_dir, physics)
    step, parts, _ = Checkpoints(run_dir).restore({"actor": problem.actor_shapes()}, step=step)
    return Restored(problem, jax.device_put(parts["actor"]), step)

"""From a run directory to something that acts."""

import dataclasses
import pathlib

import jax

from envs.command import UserError
from train.checkpoints import Checkpoints
from train.config import Config, load_config
from train.learner import Learner
from train.loop import use_compilation_cache
from train.seeds import seed_configs
from train.state import Actor


@dataclasses.dataclass(frozen=True)
class Restored:
    """A trained actor, and the task it was trained on.

    Attributes:
      learner: the task, the agent and their config.
      actor: the agent's state and the normaliser.
      step: environment steps of training behind it.
    """

    learner: Learner
    actor: Actor
    step: int


def load_single_config(run_dir: pathlib.Path) -> Config:
    """The config of a run directory of one seed.

    Raises:
      UserError: no run there, or one of several seeds; one sentence.
    """
    config = dataclasses.replace(load_config(run_dir), devices=1)  # enough to act
    if config.num_seeds > 1:
        first = pathlib.Path(str(seed_configs(config, run_dir)[0].run_dir))
        raise UserError(f"{run_dir} holds {config.num_seeds} seeds: name one of them, such as {first}.")
    return config


def restore(run_dir: pathlib.Path, step: int | None = None, physics: str | None = None) -> Restored:
    """Restores the newest checkpoint of a run directory, or that of ``step``; nothing else is needed.

    Args:
      run_dir: the run directory.
      step: environment steps of the checkpoint; None for the newest.
      physics: engine to act in; None for the one it was trained on.

    Raises:
      UserError: no run there, no such checkpoint, or a damaged one.
    """
    config = load_single_config(run_dir)
    if physics is not None:
        config = dataclasses.replace(config, physics=physics).validate()
    use_compilation_cache(config.compilation_cache)
    learner = Learner(config)
    like = jax.eval_shape(learner.init_actor, jax.random.key(0))
    step, parts, _ = Checkpoints(run_dir).restore({"actor": like}, step=step)
    return Restored(learner, jax.device_put(parts["actor"]), step)

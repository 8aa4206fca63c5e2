"""The directory of a run: how it is named, and the lock by which only one process at a time writes to it."""

import contextlib
import dataclasses
import datetime
import fcntl
import os
import pathlib
import socket
from collections.abc import Iterator

from envs.command import UserError, expanded
from envs.own_code import label
from train.config import Config

LOCK_FILE = ".lock"

FREE_TO_CHANGE = {
    "preset",
    "total_steps",
    "eval_steps",
    "checkpoint_steps",
    "checkpoint_replay",
    "eval_episodes",
    "run_dir",
    "keep_checkpoints",
    "max_diverged",
    "max_skipped",
    "compilation_cache",
    "devices",
    "wandb",
}
"""Fields that may differ when a run is resumed. Every other field is part of what the checkpoint means."""


def run_dir_of(config: Config) -> pathlib.Path:
    """The directory that the config names; or else one that is named after the task, the agent and the time."""
    if config.run_dir is not None:
        return expanded(config.run_dir)
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    env = label(config.env).replace("/", "-")
    return pathlib.Path("runs") / f"{env}-{label(config.agent)}-{now}"


def seed_configs(config: Config, run_dir: pathlib.Path) -> list[Config]:
    """The single runs that a run is made of, each with its seed and its directory. A run of one seed is that run itself."""
    if config.num_seeds == 1:
        return [dataclasses.replace(config, run_dir=str(run_dir))]
    seeds = range(config.seed, config.seed + config.num_seeds)
    return [dataclasses.replace(config, seed=seed, num_seeds=1, run_dir=str(run_dir / f"seed-{seed}")) for seed in seeds]


def check_same_run(config: Config, saved: Config) -> None:
    """Checks that a run can be resumed with this config. A path to a model file may be given as it was at first.

    Raises:
      UserError: a field differs that is part of what the checkpoint means; one sentence.
    """
    located = config.located()
    for field in dataclasses.fields(Config):
        if getattr(located, field.name) == getattr(saved, field.name):
            continue
        now, before = getattr(config, field.name), getattr(saved, field.name)
        if field.name == "physics" and "auto" in (now, before):  # the latter in a sweep that has not begun the run yet
            continue
        if now != before and field.name not in FREE_TO_CHANGE:
            raise UserError(f"--resume goes on with a run whose {field.name} is {before!r}; it cannot become {now!r}.")


def resumed(config: Config, saved: Config) -> Config:
    """The config with which a run goes on. Of it the run keeps where its files are, and what ``auto`` stood for.

    Args:
      config: what is asked for now.
      saved: the config in the run directory.

    Raises:
      UserError: the run cannot be resumed with this config; one sentence.
    """
    check_same_run(config, saved)
    physics = saved.physics if config.physics == "auto" else config.physics
    return dataclasses.replace(config, env=saved.env, agent=saved.agent, env_args=saved.env_args, physics=physics)


@contextlib.contextmanager
def locked(run_dir: pathlib.Path) -> Iterator[None]:
    """Creates the directory if there is none, and keeps other processes from training in it within this block.

    The lock belongs to the process: if the process dies, the system releases the lock. Readers need no lock.

    Raises:
      UserError: another process holds the lock, or the directory cannot be written; one sentence.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        # The file is not truncated: it may hold the name of the process that has the lock.
        file = os.fdopen(os.open(run_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644), "r+")
    except OSError as error:
        raise UserError(f"The run directory {run_dir} cannot be written: {error.strerror}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{run_dir} is in use: {file.read(200).strip() or 'another process'} trains in it.") from error
        except OSError:
            pass  # this file system has no locks
        with contextlib.suppress(OSError):  # on a full disk the lock holds too, only without a name in it
            file.truncate()
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        yield

"""Tiny runs for the tests of training and evaluation."""

import copy
import dataclasses
import functools
import io
import json
import pathlib
import shlex
import zlib
from collections.abc import Collection, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from envs.engines import resolve_engine
from train.checkpoints import Checkpoints, Notes
from train.config import Config
from train.logs import METRICS_FILE, read_lines
from train.presets import preset
from train.program import Program
from train.seeds import seed_keys
from train.state import TrainState, checkpoint_parts, from_checkpoint_parts

OWN_TASK = """
import envs


class Lift(envs.MujocoTask):
    name, xml, frame_skip = "lift", "inverted_pendulum.xml", 2

    def observe(self, physics, derived, info):
        return physics.qpos

    def score(self, physics, derived, ctrl, info):
        return {"upright": physics.qpos[1] ** 2}, False
"""
"""A file with the task ``Lift``."""

TINY_FLAGS = shlex.split(
    "--physics native --num-envs 4 --updates-per-step 1 --batch-size 8 --replay-size 400 --learning-starts 40 "
    "--log-steps 80 --eval-steps 160 --checkpoint-steps 80 --total-steps 160 --eval-episodes 2 --agent.hidden 16 "
    "--compilation-cache None"
)
"""the same as flags"""

TIMES = ("wall_s", "speed/", "time/")
"""metrics that measure the clock"""

CHUNK_STEPS = 80
"""environment steps per logging interval of `tiny_config`"""


def long_but(short: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """Values of a test's parameter: those of ``values`` that are not in ``short`` belong to the long form."""
    marks = (pytest.mark.slow, pytest.mark.long)
    return [value if value in short else pytest.param(value, marks=marks) for value in values]


def tiny_config(run_dir: pathlib.Path | None = None, agent: str = "dsac_e", **values: Any) -> Config:
    """A run of seconds: 4 worlds, small networks, everything happens at least once."""
    config = preset("quick", "inverted_pendulum", agent)
    widths = [name for name in ("hidden", "policy_hidden", "critic_hidden") if hasattr(config.agent_args, name)]
    narrow: dict[str, Any] = dict.fromkeys(widths, (16,))
    narrow |= {name: 8 for name in ("policy_width", "critic_width") if hasattr(config.agent_args, name)}
    if not config.replay_size:
        narrow |= {"rollout_steps": 10, "epochs": 2, "minibatches": 4}
    defaults = {
        "agent_args": dataclasses.replace(config.agent_args, **narrow),
        "total_steps": 4 * CHUNK_STEPS,
        "num_envs": 4,
        "log_steps": CHUNK_STEPS,
        "eval_steps": 2 * CHUNK_STEPS,
        "checkpoint_steps": CHUNK_STEPS,
        "eval_episodes": 3,
        "physics": "native",
        "compilation_cache": None,
        "run_dir": None if run_dir is None else str(run_dir),
    }
    if config.replay_size:
        defaults |= {"updates_per_step": 1, "batch_size": 8, "replay_size": 400, "learning_starts": 40}
    return dataclasses.replace(config, **(defaults | values))


@functools.cache
def _compiled(config: Config) -> Program:
    """One program for all tests: what takes time is its compilation."""
    return Program(config)


def shared_program(config: Config, model: Any = None) -> Program:
    """Runs that differ only in seed, length, directory and what they keep share their compiled programs, and the model."""
    config = dataclasses.replace(config, physics=resolve_engine(config.physics))  # as `make_problem` does on a CPU
    apart = ("seed", "run_dir", "total_steps", "checkpoint_steps", "eval_steps", "checkpoint_replay")
    theirs = {name: getattr(tiny_config(), name) for name in apart}
    program = copy.copy(_compiled(dataclasses.replace(config, **theirs)))
    program.config, program.root = config, seed_keys(config)
    return program


def restore_state(checkpoints: Checkpoints, like: TrainState, at_most: int | None = None) -> tuple[int, TrainState, Notes]:
    """The newest intact checkpoint, as a run restores it: its step, the state and the notes."""
    optional = frozenset({"replay"})
    step, parts, notes = checkpoints.restore(checkpoint_parts(like), at_most=at_most, optional=optional)
    return step, from_checkpoint_parts(parts), notes


def leaves(tree: Any) -> list[np.ndarray]:
    """The arrays of a tree, keys as their data; copies, so that the tree may be donated."""
    keys = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)  # noqa: E731
    return [np.array(jax.random.key_data(x) if keys(x) else x) for x in jax.tree.leaves(tree)]


def untimed(run_dir: pathlib.Path) -> list[dict[str, Any]]:
    """The log lines of a run without what measures the clock."""
    lines = read_lines(run_dir / METRICS_FILE)
    return [{k: v for k, v in line.items() if not k.startswith(TIMES)} for line in lines]


def quiet() -> Console:
    """A console whose output can be read from its ``file``."""
    return Console(file=io.StringIO(), width=200)


def seal(manifest: dict[str, Any]) -> str:
    """The text of a checkpoint's manifest, with the right checksum whatever it says."""
    text = json.dumps(manifest)
    return json.dumps({"manifest": text, "crc32": zlib.crc32(text.encode())})

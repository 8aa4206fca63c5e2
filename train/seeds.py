"""Several seeds in one program: states with a leading axis ``[num_seeds]``, and what belongs to one of them."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjx_tecrl.replay import Replay
from train.arrays import is_key
from train.config import Config
from train.processes import fetch
from train.state import Actor, TrainState


def seed_configs(config: Config, run_dir: pathlib.Path) -> list[Config]:
    """The single runs that a run is made of, each with its seed and its directory; of one seed: the run itself."""
    if config.num_seeds == 1:
        return [dataclasses.replace(config, run_dir=str(run_dir))]
    seeds = range(config.seed, config.seed + config.num_seeds)
    return [dataclasses.replace(config, seed=seed, num_seeds=1, run_dir=str(run_dir / f"seed-{seed}")) for seed in seeds]


def roots(config: Config) -> jax.Array:
    """The key of the run's seed; of several seeds ``[num_seeds]``."""
    keys = [jax.random.key(config.seed + number) for number in range(config.num_seeds)]
    return jnp.stack(keys) if config.num_seeds > 1 else keys[0]


def seed_axes(state: TrainState) -> TrainState:
    """Where the axis of the seeds is in a state's parts, as ``vmap`` has it: 0, and None for counters.

    Those are the same in all seeds. As numbers of their own for each seed they would turn every condition on them (the
    policy's delay, the first fill) into a computation of both sides, and the place in the replay into a scatter.
    """
    agent = state.actor.agent
    apart: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(TrainState)}
    of_agent = {field.name: 0 for field in dataclasses.fields(agent)} | {"updates": None}
    of_actor: dict[str, Any] = {"agent": type(agent)(**of_agent), "normalizer": 0}
    of_replay: dict[str, Any] = {"rows": 0, "head": None, "size": None}
    replay = Replay(**of_replay) if isinstance(state.replay, Replay) else 0
    return TrainState(**apart | {"actor": Actor(**of_actor), "replay": replay, "vector_steps": None, "updates": None})


def one_seed(state: TrainState, number: int) -> TrainState:
    """The state of one of several seeds (arrays or their shapes).

    It is copied to the host array by array, so that the device need not hold it twice.
    """

    def one(x: Any) -> Any:
        if isinstance(x, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
        return x[number] if is_key(x) else fetch(x[number])

    return _map(lambda part: jax.tree.map(one, part), lambda part: part, state)


def all_seeds(states: list[TrainState]) -> TrainState:
    """The state of several seeds from theirs."""

    def stack(*parts: Any) -> Any:
        return jax.tree.map(lambda *x: jnp.stack(x) if is_key(x[0]) else np.stack(list(map(np.asarray, x))), *parts)

    return _map(stack, lambda first, *_: first, *states)


def _map(apart: Callable[..., Any], shared: Callable[..., Any], *states: TrainState) -> TrainState:
    axes = seed_axes(states[0])
    return jax.tree.map(
        lambda axis, *parts: (shared if axis is None else apart)(*parts), axes, *states, is_leaf=lambda axis: axis is None
    )

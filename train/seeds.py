"""Several seeds in one program: states with a leading axis ``[num_seeds]``, and what belongs to one of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from train.arrays import is_key
from train.axes import Axes
from train.config import Config
from train.processes import fetch
from train.state import TrainState


def seed_keys(config: Config) -> jax.Array:
    """The key of the run's seed; of several seeds ``[num_seeds]``."""
    keys = [jax.random.key(config.seed + number) for number in range(config.num_seeds)]
    return jnp.stack(keys) if config.num_seeds > 1 else keys[0]


def seed_axes(axes: Any) -> Any:
    """Where the axis of the seeds is in a state's parts, as ``vmap`` has it: 0, or None for what all seeds share.

    Counters are shared. As numbers of their own for each seed they would turn every condition on them (the policy's delay,
    the first fill) into a computation of both sides, and the place in the replay into a scatter.

    Args:
      axes: what the state declares, as `train.state.state_axes` gives it.
    """
    return jax.tree.map(lambda one: 0 if one.per_seed else None, axes)


def one_seed(state: TrainState, axes: Any, number: int) -> TrainState:
    """The state of one of several seeds (arrays or their shapes).

    It is copied to the host array by array, so that the device need not hold it twice.

    Args:
      state: of all seeds.
      axes: what it declares, as `train.state.state_axes` gives it.
      number: which of the seeds, from 0 on.
    """

    def one(x: Any) -> Any:
        if isinstance(x, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
        return x[number] if is_key(x) else fetch(x[number])

    return jax.tree.map(lambda axes, part: jax.tree.map(one, part) if axes.per_seed else part, axes, state)


def all_seeds(states: list[TrainState], axes: Any) -> TrainState:
    """The state of several seeds from the ``states`` of each; ``axes`` as in `one_seed`."""

    def stack(*x: Any) -> Any:
        return jnp.stack(x) if is_key(x[0]) else np.stack(list(map(np.asarray, x)))

    def part(axes: Axes, *parts: Any) -> Any:
        return jax.tree.map(stack, *parts) if axes.per_seed else parts[0]

    return jax.tree.map(part, axes, *states)

"""A state declares the axes of all its arrays; seeds, shardings and checkpoints follow from the declaration."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from mjx_tecrl import AGENTS
from tests.runs import long_but, tiny_config
from train.axes import Axes, axes_of
from train.mesh import state_shardings
from train.problem import make_problem
from train.state import TrainState, checkpoint_parts, from_checkpoint_parts, state_axes
from train.training import Training


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Inner:
    """Declares nothing."""

    x: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = dataclasses.field(metadata={"axes": ("world",)})
    counter: Any = dataclasses.field(metadata={"axes": (), "seeds": "shared"})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Forgetful:
    worlds: Any = dataclasses.field(metadata={"axes": ("world",)})
    more: Any = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Misspelt:
    worlds: Any = dataclasses.field(metadata={"axes": ("worlds",)})


def test_a_dataclass_without_declarations_has_those_of_its_field() -> None:
    axes = axes_of(Outer(Inner(jnp.zeros(4)), jnp.zeros(())))
    assert (axes.inner, axes.counter) == (Axes(("world",)), Axes((), per_seed=False))


def test_a_field_that_declares_nothing_beside_others_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Forgetful\.more does not say which axes its arrays have"):
        axes_of(Forgetful(jnp.zeros(4), jnp.zeros(4)))
    with pytest.raises(TypeError, match=r"Misspelt\.worlds declares an unknown axis 'worlds'"):
        axes_of(Misspelt(jnp.zeros(4)))


def test_an_unknown_axis_of_an_exploration_is_refused() -> None:
    training, state = shapes_of("fast_td3")
    agent = training.problem.agent._replace(exploration_axes=("worlds",))
    with pytest.raises(TypeError, match="exploration declares an unknown axis 'worlds': choose from world, time"):
        state_axes(state, agent)


def test_a_declaration_inside_of_what_declares_nothing_is_refused() -> None:
    """It would be lost: all of the outer one's arrays have the axes of its own field."""
    with pytest.raises(TypeError, match=r"Inner declares nothing, and what Outer in it declares would be lost"):
        axes_of(Inner(Outer(Inner(jnp.zeros(4)), jnp.zeros(()))))


def test_counters_are_shared_by_all_seeds() -> None:
    training, state = shapes_of("td3")
    axes = state_axes(state, training.problem.agent)
    counters = (axes.vector_steps, axes.updates, axes.actor.agent.updates, axes.replay.head, axes.replay.size)
    assert not any(one.per_seed for one in counters)
    assert axes.key.per_seed


def shapes_of(agent: str) -> tuple[Training, TrainState]:
    training = Training(make_problem(tiny_config(agent=agent)))
    return training, training.state_shapes()


@pytest.mark.parametrize("agent", long_but(["fast_td3", "flash_sac", "ppo"], AGENTS))
def test_declared_axes_are_those_of_the_arrays(agent: str) -> None:
    """In a run of 4 worlds every array has 4 entries along the axis that its field calls the worlds' axis."""
    training, state = shapes_of(agent)
    axes = state_axes(state, training.problem.agent)
    per_world = 0

    def check(one: Axes, part: Any) -> None:
        nonlocal per_world
        for x in jax.tree.leaves(part):
            if "world" in one.names and x.size:
                assert x.shape[one.names.index("world")] == 4
                per_world += 1

    jax.tree.map(check, axes, state)
    assert per_world >= 8


def test_shardings_follow_from_the_axes() -> None:
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("worlds",))
    training, state = shapes_of("fast_td3")  # its noise differs from world to world
    axes = state_axes(state, training.problem.agent)
    one, several = (state_shardings(mesh, axes, seeds) for seeds in (False, True))
    specs = lambda part: jax.tree.leaves(part)[0].spec  # noqa: E731
    assert specs(one.envs.worlds) == P("worlds")
    assert specs(one.exploration) == P("worlds")
    assert specs(one.replay.rows) == P(None, "worlds")
    assert specs(one.envs.pool) == specs(one.key) == specs(one.actor) == P()
    assert specs(several.envs.worlds) == P(None, "worlds")
    assert specs(several.replay.rows) == P(None, None, "worlds")


def test_parts_of_a_checkpoint_are_those_that_the_fields_name() -> None:
    _, state = shapes_of("dsac_e")
    parts = checkpoint_parts(state)
    assert parts.keys() == {"actor", "loop", "replay"}
    assert parts["actor"] is state.actor
    assert set(parts["loop"]) == {"envs", "exploration", "rewards", "key", "vector_steps", "updates", "tally"}
    assert from_checkpoint_parts(parts) == state

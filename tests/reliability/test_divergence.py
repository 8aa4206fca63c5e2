"""Faults in every place of a run: none is learned from, each is counted, and the run goes on.

The long form (every agent, more rates, engines, worlds that differ): ``python -m pytest -m long tests/reliability``.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.finite import LIMIT
from mjx_tecrl import AGENTS
from tests.reliability.faults import IN_UPDATES, IN_WORLDS, PLACES, VALUES, Fault, FaultyTraining, corrupt
from tests.runs import tiny_config
from train.state import TrainState

ROOT = jax.random.key(0)
ON_POLICY = ("ppo", "ppo_era", "trpo", "eapo")
MANY = 0.3
"""Rate of the faults that strike many worlds, start states or updates."""


@functools.cache
def training(agent: str, physics: str = "native", randomized: bool = False) -> FaultyTraining:
    """A program that is compiled once for all faults."""
    values: dict[str, Any] = {"normalize_obs": True, "normalize_reward": agent not in ON_POLICY}
    if randomized:
        values["randomization"] = envs.Randomization(mass=(0.8, 1.2), obs_noise=0.1, action_delay=2)
    return FaultyTraining(tiny_config(agent=agent, physics=physics, **values))


@functools.cache
def warm(faulty: FaultyTraining) -> TrainState:
    """A state after a chunk of learning without a fault."""
    state, metrics, _ = faulty.chunk(faulty.begin(ROOT), ROOT, 1, faulty.no_fault())
    assert metrics["safety/diverged"] == metrics["safety/skipped_updates"] == 0
    return state


def assert_harmless(faulty: FaultyTraining, place: str, fault: Fault) -> TrainState:
    """Trains a chunk under the fault: nothing becomes corrupt, and every fault is counted. Returns the state after it."""
    state, metrics, struck = faulty.chunk(warm(faulty), ROOT, 2, fault)
    assert_clean(state, metrics)
    assert (struck > 0) == (place in IN_WORLDS) or fault.worlds.sum() == 1  # a single one may strike where an episode starts
    assert metrics["safety/diverged"] == (0 if place == "metric" else struck)
    assert metrics["safety/skipped_updates"] == (fault.updates.sum() if place in IN_UPDATES else 0)
    assert metrics["safety/bad_starts"] == (fault.starts.sum() if place == "start" else 0)
    return state


def assert_goes_on(faulty: FaultyTraining, state: TrainState) -> None:
    """Trains a chunk without a fault: all of its updates are made."""
    after, metrics, _ = faulty.chunk(state, ROOT, 3, faulty.no_fault())
    assert_clean(after, metrics)
    assert metrics["safety/diverged"] == metrics["safety/skipped_updates"] == metrics["safety/bad_starts"] == 0
    assert int(after.actor.agent.updates) == int(after.updates) > int(state.updates)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), state.actor.agent, after.actor.agent)
    assert sum(jax.tree.leaves(changed)) > 4


def assert_clean(state: TrainState, metrics: dict[str, Any]) -> None:
    # The evidence holds the action that led to a blow-up as it was.
    evidence = dataclasses.replace(state.envs.blow_ups, action=jnp.zeros(()))
    state = dataclasses.replace(state, envs=dataclasses.replace(state.envs, blow_ups=evidence))
    assert corrupt(state) == {}
    for name, value in metrics.items():
        # There may be no episode and no update; and values that are all alike have no variance to explain.
        nothing_learned = name.startswith("agent/") and metrics["safety/skipped_share"] == 1
        absent = nothing_learned or name.startswith("train/") or name.endswith("explained_variance")
        assert (np.abs(value) <= LIMIT).all() or (absent and np.isnan(value).all()), name


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("agent", ["dsac_e", "ppo"])
def test_no_fault_is_learned_from_and_each_is_counted(agent: str, place: str) -> None:
    faulty = training(agent)
    for value in VALUES:
        assert_harmless(faulty, place, faulty.make_fault(value, place, rate=None))
        state = assert_harmless(faulty, place, faulty.make_fault(value, place, MANY))
    assert_goes_on(faulty, state)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("physics", ["mjx", "warp"])
def test_other_engines_survive_faults_too(physics: str) -> None:
    if physics == "warp":
        pytest.importorskip("warp")
    faulty = training("ddpg", physics)
    for place, value in (("qpos", float("nan")), ("qvel", 1e30), ("gradient", float("inf"))):
        assert_goes_on(faulty, assert_harmless(faulty, place, faulty.make_fault(value, place, MANY)))


# --- The long form. ---

RATES = (None, 0.02, MANY, 0.9)


def strike_everywhere(faulty: FaultyTraining) -> None:
    for place in PLACES:
        for value in VALUES:
            for seed, rate in enumerate(RATES):
                state = assert_harmless(faulty, place, faulty.make_fault(value, place, rate, seed))
        assert_goes_on(faulty, state)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_survives_every_fault(agent: str) -> None:
    strike_everywhere(training(agent))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("physics", ["mjx", "warp"])
@pytest.mark.parametrize("agent", ["dsac_e", "ppo"])
def test_every_engine_survives_every_fault(agent: str, physics: str) -> None:
    if physics == "warp":
        pytest.importorskip("warp")
    strike_everywhere(training(agent, physics))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("agent", ["dsac_e", "ppo"])
def test_worlds_that_differ_survive_every_fault(agent: str) -> None:
    strike_everywhere(training(agent, randomized=True))

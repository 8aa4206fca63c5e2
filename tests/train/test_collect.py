"""One step of all worlds, called alone: without a replay, a run or a compiled training program."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs import VectorEnv
from tests.runs import tiny_config
from train.collect import collect, empty_row
from train.problem import Problem, make_problem

KEY = jax.random.key(0)


def start(agent: str, **values: Any) -> tuple[Problem, tuple[Any, ...]]:
    """A problem, and what `collect` takes beside it and a key."""
    problem = make_problem(tiny_config(agent=agent, **values))
    worlds = VectorEnv(problem.env, 4, 8)
    state = jax.jit(lambda key: worlds.reset(worlds.draw_starts(key)))(KEY)
    return problem, (worlds, problem.init_actor(KEY), state, problem.agent.init_exploration(KEY, 4))


@pytest.mark.parametrize("agent", ["dsac_e", "fast_td3", "flash_sac", "ppo"])
def test_a_row_is_what_happened(agent: str) -> None:
    problem, (worlds, actor, state, exploration) = start(agent)
    after, _, row, stats = jax.jit(lambda key: collect(problem, worlds, actor, state, exploration, key))(KEY)
    assert jax.tree.map(jnp.shape, row) == jax.tree.map(jnp.shape, empty_row(problem))
    np.testing.assert_array_equal(row.obs, state.worlds.obs)
    stepped = jax.vmap(problem.env.step)(state.worlds, jnp.clip(row.action, -1, 1))
    np.testing.assert_allclose(after.worlds.obs, stepped.obs, rtol=1e-5, atol=1e-6)
    assert int(stats.valid) == 4


def test_it_is_a_pure_function_of_its_key() -> None:
    problem, given = start("sac")
    step = jax.jit(lambda key: collect(problem, *given, key)[2].action)
    np.testing.assert_array_equal(step(KEY), step(KEY))
    assert not np.array_equal(step(KEY), step(jax.random.key(1)))


def test_the_actor_sees_through_its_own_normalizer() -> None:
    problem, (worlds, actor, state, exploration) = start("td3", normalize_obs=True)
    seen = dataclasses.replace(actor.normalizer, count=jnp.float32(10.0), mean=jnp.full(4, 3.0), squares=jnp.full(4, 40.0))
    plain, moved = (
        collect(problem, worlds, one, state, exploration, KEY)[2]
        for one in (actor, dataclasses.replace(actor, normalizer=seen))
    )
    assert not np.array_equal(plain.action, moved.action)
    np.testing.assert_array_equal(plain.obs, moved.obs)  # the memory holds what the worlds showed


def test_uniform_actions_on_demand() -> None:
    problem, given = start("ddpg")
    action = collect(problem, *given, KEY, jnp.asarray(True))[2].action
    expected = jax.random.uniform(jax.random.split(KEY)[1], (4, 1), minval=-1.0)
    np.testing.assert_array_equal(action, expected)
    assert np.abs(collect(problem, *given, KEY, jnp.asarray(False))[2].action).max() < 0.5  # the policy's, and its noise


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_action_that_is_not_finite_blows_its_world_up(bad: float) -> None:
    problem, (worlds, actor, state, exploration) = start("sac")

    def act(state: Any, obs: jax.Array, key: Any, mode: str) -> jax.Array:
        return jnp.zeros((4, 1)).at[2].set(bad)

    agent = problem.agent._replace(act=act)  # type: ignore[call-arg,arg-type]
    _, _, row, stats = collect(dataclasses.replace(problem, agent=agent), worlds, actor, state, exploration, KEY)
    np.testing.assert_array_equal(row.valid, [True, True, False, True])
    assert int(stats.diverged) == 1
    assert np.isfinite(row.action).all()

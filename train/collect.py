"""Collecting experience: one step of all worlds by the present policy.

`collect` is a pure function of its arguments. It needs no run: a test or a benchmark can call it alone. `step_worlds` does
the same with the state of a run.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from envs import Row, VectorEnv, VectorState
from envs.finite import within_limit
from envs.vector import StepStats
from mjx_tecrl.normalizer import Normalizer, update_normalizer
from train.problem import Actor, Problem, join
from train.state import TrainState


def collect(
    problem: Problem,
    worlds: VectorEnv,
    actor: Actor,
    state: VectorState,
    exploration: Any,
    key: jax.Array,
    uniform: jax.Array | None = None,
) -> tuple[VectorState, Any, Row, StepStats]:
    """Steps every world once, by a sample of the policy and what the agent's exploration makes of it.

    Args:
      problem: the task and the agent.
      worlds: all worlds of the task.
      actor: who acts. It sees the worlds through its own normaliser.
      state: of the worlds.
      exploration: the state of the agent's exploration.
      key: decides the actions.
      uniform: [] bool, act uniformly at random instead; None for never.

    Returns:
      The worlds and the exploration after the step, the row that goes into the agent's memory, and what to count. The
      row's ``obs`` is one array, as `join` makes it, and not normalised.
    """
    obs = problem.observe(actor.normalizer, state.worlds.obs)
    draw = lambda key: problem.agent.act(actor.agent, obs, key, "sample")  # noqa: E731
    key, key_uniform = jax.random.split(key)
    action, exploration = problem.agent.explore(exploration, draw, state.starts_episode, key)
    if uniform is not None:
        action = jnp.where(uniform, jax.random.uniform(key_uniform, action.shape, minval=-1.0), action)
    # An action that is not finite blows its world up. Clipping would make an ordinary action of an infinite one.
    finite = within_limit(action)
    state, row, stats = worlds.step(state, jnp.where(finite, jnp.clip(action, -1, 1), jnp.nan))
    # The agent remembers what it drew, not what the world made of it: a Gaussian sample may lie beyond [-1, 1].
    return state, exploration, dataclasses.replace(row, obs=join(row.obs), action=jnp.where(finite, action, 0.0)), stats


def empty_row(problem: Problem) -> Row:
    """A row of zeros, as `collect` returns it."""
    n = problem.config.num_envs
    return Row(
        obs=jnp.zeros((n, problem.spec.critic_obs_size)),
        action=jnp.zeros((n, problem.spec.action_size)),
        reward=jnp.zeros(n),
        terminated=jnp.zeros(n, bool),
        done=jnp.zeros(n, bool),
        valid=jnp.zeros(n, bool),
    )


def step_worlds(
    problem: Problem, worlds: VectorEnv, state: TrainState, normalizer: Normalizer, uniform: jax.Array | None = None
) -> tuple[TrainState, Row, StepStats, jax.Array]:
    """Collects in a run: `collect`, and the statistics of the observations go on.

    Args:
      problem: the task and the agent.
      worlds: all worlds of the task.
      state: of the run.
      normalizer: what the policy sees the worlds through.
      uniform: as of `collect`.

    Returns:
      The state after the step, the row, what to count, and a key to learn with.
    """
    key, key_explore, key_learn = jax.random.split(state.key, 3)
    actor = state.actor
    seeing = dataclasses.replace(actor, normalizer=normalizer)
    stepped, exploration, row, stats = collect(problem, worlds, seeing, state.envs, state.exploration, key_explore, uniform)
    if problem.config.normalize_obs:
        seen = jnp.ones(len(row.obs), bool)
        actor = dataclasses.replace(actor, normalizer=update_normalizer(actor.normalizer, row.obs, seen))
    state = dataclasses.replace(
        state, actor=actor, envs=stepped, exploration=exploration, key=key, vector_steps=state.vector_steps + 1
    )
    return state, row, stats, key_learn

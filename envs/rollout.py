"""Whole episodes under a fixed policy: what evaluation during training, ``eval.run`` and the films are made of."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs.base import Env, State
from envs.engines import OVERFLOW
from envs.finite import is_finite

Policy = Callable[[Any], jax.Array]
"""Maps observations ``[worlds, ...]`` to actions ``[worlds, action_size]`` in [-1, 1]."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Episodes:
    """The outcome of ``n`` episodes.

    Attributes:
      returns: ``[n]`` undiscounted sum of rewards.
      lengths: ``[n]`` int32 steps.
      diverged: ``[n]`` bool, the physics blew up: the return counts only the steps before that.
      overflowed: ``[n]`` bool, a buffer of the engine was too small: the physics was wrong on some step.
    """

    returns: jax.Array
    lengths: jax.Array
    diverged: jax.Array
    overflowed: jax.Array


def run_episodes(env: Env, policy: Policy, key: jax.Array, num_episodes: int) -> Episodes:
    """Plays ``num_episodes`` episodes side by side from fresh start states, each to its end (jit-able)."""

    def playing(carry: tuple[State, Episodes, jax.Array, jax.Array]) -> jax.Array:
        return carry[2].any()

    def step(carry: tuple[State, Episodes, jax.Array, jax.Array]) -> tuple[State, Episodes, jax.Array, jax.Array]:
        state, done, alive, steps = carry
        state = jax.vmap(env.step)(state, policy(state.obs))
        sane = is_finite(state)
        counts = alive & sane
        done = Episodes(
            returns=done.returns + jnp.where(counts, state.reward, 0.0),
            lengths=done.lengths + counts,
            diverged=done.diverged | (alive & ~sane),
            overflowed=done.overflowed | (counts & (state.metrics.get(OVERFLOW, 0.0) > 0)),
        )
        ended = state.terminated | state.truncated | (steps + 1 >= env.episode_length)
        return state, done, counts & ~ended, steps + 1

    state = jax.vmap(env.reset)(jax.random.split(key, num_episodes))
    sane = is_finite(state)  # an episode whose start is not has blown up before its first step
    zeros = Episodes(
        returns=jnp.zeros(num_episodes),
        lengths=jnp.zeros(num_episodes, jnp.int32),
        diverged=~sane,
        overflowed=jnp.zeros(num_episodes, bool),
    )
    carry = (state, zeros, sane, jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(playing, step, carry)[1]

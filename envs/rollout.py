"""Whole episodes under a fixed policy. Evaluation during training, ``eval.run`` and films use it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs.base import Env, State
from envs.engines import OVERFLOW
from envs.finite import is_finite

Policy = Callable[[Any], jax.Array]
"""A function from observations ``[worlds, ...]`` to actions ``[worlds, action_size]`` in [-1, 1]."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Episodes:
    """The outcome of ``n`` episodes.

    Attributes:
      returns: ``[n]`` undiscounted sum of rewards.
      lengths: ``[n]`` int32 environment steps.
      diverged: ``[n]`` bool, the world blew up. The return and the length count only the steps before that.
      overflowed: ``[n]`` bool, on some step a buffer of the engine was too small, so that its physics was wrong.
    """

    returns: jax.Array
    lengths: jax.Array
    diverged: jax.Array
    overflowed: jax.Array


def run_episodes(env: Env, policy: Policy, key: jax.Array, num_episodes: int) -> Episodes:
    """Plays ``num_episodes`` episodes side by side, each from a fresh start state to its end. Runs under ``jit``."""

    def playing(carry: tuple[State, Episodes, jax.Array, jax.Array]) -> jax.Array:
        return carry[2].any()

    def step(carry: tuple[State, Episodes, jax.Array, jax.Array]) -> tuple[State, Episodes, jax.Array, jax.Array]:
        state, done, alive, steps = carry
        state = jax.vmap(env.step)(state, policy(state.obs))
        finite = is_finite(state)
        counts = alive & finite
        done = Episodes(
            returns=done.returns + jnp.where(counts, state.reward, 0.0),
            lengths=done.lengths + counts,
            diverged=done.diverged | (alive & ~finite),
            overflowed=done.overflowed | (counts & (state.metrics.get(OVERFLOW, 0.0) > 0)),
        )
        ended = state.terminated | state.truncated | (steps + 1 >= env.episode_length)
        return state, done, counts & ~ended, steps + 1

    state = jax.vmap(env.reset)(jax.random.split(key, num_episodes))
    finite = is_finite(state)  # an episode whose start state is not finite has blown up before its first step
    zeros = Episodes(
        returns=jnp.zeros(num_episodes),
        lengths=jnp.zeros(num_episodes, jnp.int32),
        diverged=~finite,
        overflowed=jnp.zeros(num_episodes, bool),
    )
    carry = (state, zeros, finite, jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(playing, step, carry)[1]

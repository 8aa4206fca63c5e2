"""Probe tasks, whose values are known exactly, as sources of replay rows and of rollouts.

All have two observations and one action, and are meant for a discount of 0.5. Replay rows have actions drawn uniformly: an
off-policy agent must value its own policy all the same.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjx_tecrl import Rollout, Spec
from mjx_tecrl.replay import Replay, init_replay, insert

SPEC = Spec(obs_size=2, action_size=1)
DISCOUNT = 0.5
BEST_ACTION = 0.4
WORLDS, STEPS = 16, 32


class Row(NamedTuple):
    """One step of all worlds, as the replay takes it."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    done: np.ndarray
    valid: np.ndarray


def _first(rng: np.random.Generator) -> np.ndarray:
    return np.array([1.0, 0.0])


@dataclasses.dataclass(frozen=True)
class Probe:
    """A task of one world.

    Attributes:
      reward: ``(obs, action) -> reward``.
      value: ``(obs, action) -> `` the exact action value; None where it depends on the policy or is not asked for.
      reset: ``generator -> obs``.
      length: steps until it terminates; None if it never does.
      time_limit: steps after which an episode is cut off, which is no termination.
    """

    reward: Callable[[np.ndarray, float], float]
    value: Callable[[np.ndarray, float], float] | None
    reset: Callable[[np.random.Generator], np.ndarray] = _first
    length: int | None = 1
    time_limit: int = 1000


def _distance(obs: np.ndarray, action: float) -> float:
    return 1 - 2 * (action - BEST_ACTION) ** 2


PROBES = {
    # One step, reward 1.
    "constant": Probe(lambda obs, action: 1.0, lambda obs, action: 1.0),
    # One step, the reward is the observation.
    "seen": Probe(lambda obs, action: obs[0], lambda obs, action: obs[0], lambda rng: np.array([rng.uniform(-1, 1), 0.0])),
    # Two steps, a reward of 1 at the end: the first is worth the discount.
    "two_steps": Probe(lambda obs, action: obs[1], lambda obs, action: 1.0 if obs[1] else DISCOUNT, length=2),
    # One step, the reward depends on the action.
    "action": Probe(_distance, _distance),
    # The same, with observations that differ, although they do not matter.
    "varied": Probe(_distance, None, lambda rng: np.array([1.0, rng.uniform(-1, 1)])),
    # No end, reward 1, cut off after three steps: the sum goes on beyond the limit.
    "endless": Probe(lambda obs, action: 1.0, lambda obs, action: 1 / (1 - DISCOUNT), length=None, time_limit=3),
    # No end, reward 0 at best, which pushes towards a narrow policy around 0.
    "narrow": Probe(lambda obs, action: -2 * action**2, None, length=None, time_limit=4),
}


@functools.cache
def collect(name: str) -> Replay:
    """A full ring, with next-step autoreset: the row after an end holds the final observation."""
    probe, rng = PROBES[name], np.random.default_rng(0)
    obs = np.stack([probe.reset(rng) for _ in range(WORLDS)])
    time, starts = np.zeros(WORLDS, int), np.zeros(WORLDS, bool)
    replay = None
    for _ in range(STEPS):
        action = rng.uniform(-1, 1, size=WORLDS)
        time = np.where(starts, 0, time + 1)
        terminated = ~starts & (time == probe.length)
        done = terminated | (time == probe.time_limit)
        reward = [0.0 if starts[i] else probe.reward(obs[i], action[i]) for i in range(WORLDS)]
        row = Row(np.float32(obs), np.float32(action)[:, None], np.float32(reward), terminated, done, ~starts)
        replay = _insert(init_replay(row, STEPS) if replay is None else replay, row)
        # A probe of two steps shows a second observation; in the others the observation stays the same.
        after = np.tile([0.0, 1.0], (WORLDS, 1)) if probe.length == 2 else obs
        obs = np.where(starts[:, None], np.stack([probe.reset(rng) for _ in range(WORLDS)]), after)
        starts = done
    assert replay is not None
    return replay


_insert = jax.jit(insert)


Act = Callable[[jax.Array, jax.Array], jax.Array]
"""``(obs [worlds, 2], key) -> action [worlds, 1]``."""


def roll_out(name: str, act: Act, key: jax.Array, steps: int) -> Rollout:
    """A policy in all worlds of a probe, from the start of an episode, with next-step autoreset (jit-able).

    Actions are clipped to [-1, 1] for the reward, and kept as they are.
    """
    probe, rng = PROBES[name], np.random.default_rng(0)
    starts = jnp.float32(np.array([[probe.reset(rng) for _ in range(WORLDS)] for _ in range(steps + 1)]))
    over = jnp.float32([0.0, 1.0])

    def step(carry: tuple[jax.Array, ...], x: tuple[jax.Array, jax.Array]) -> tuple[tuple[jax.Array, ...], Row]:
        (obs, time, starting), (key, start) = carry, x
        action = act(obs, key)
        time = jnp.where(starting, 0, time + 1)
        terminated = ~starting & (time == (probe.length or 0))
        done = terminated | (time == probe.time_limit)
        reward = jax.vmap(lambda o, a: jnp.float32(probe.reward(o, a)))(obs, jnp.clip(action[:, 0], -1, 1))
        # The reward of a row that is not valid is NaN: nobody may look at it.
        row = Row(obs, action, jnp.where(starting, jnp.nan, reward), terminated, done, ~starting)
        after = jnp.where(starting[:, None], start, over if probe.length == 2 else obs)
        return (after, time, done), row

    carry = (starts[0], jnp.zeros(WORLDS, int), jnp.zeros(WORLDS, bool))
    (last_obs, *_), rows = jax.lax.scan(step, carry, (jax.random.split(key, steps), starts[1:]))
    return Rollout(*rows, last_obs=last_obs)

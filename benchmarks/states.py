"""States of real bodies, to compare engines and libraries in."""

import dataclasses
import math
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import envs

ROLLOUT_STEPS = 150
ROUNDING = 1e-7
"""Half the spacing of float32 numbers around 1, rounded up."""


def state_sets(
    task: envs.MujocoTask, num_states: int, seed: int, trained: Callable[[jax.Array], jax.Array] | None = None
) -> dict[str, tuple[envs.State, jax.Array]]:
    """States, and the actions that follow in them, for each kind of behaviour.

    Every state is drawn from a rollout of its own, at a random time. The states of the kinds ``random``, ``energetic`` and,
    if a policy is given, ``trained`` are from an episode that has not ended. Those of the kind ``fallen`` are from after its
    end (or, if the episode never ends, from its second half).

    Args:
      task: the task, on the engine that makes the rollouts.
      num_states: number of states of each kind.
      seed: seed of start states, actions and times.
      trained: a policy, from an observation ``[obs_size]`` to an action ``[action_size]``.
    """
    rng = np.random.default_rng(seed)
    size = (ROLLOUT_STEPS, num_states, task.action_size)
    uniform = rng.uniform(-1, 1, size)
    t = np.arange(ROLLOUT_STEPS)[:, None, None]
    period = np.exp(rng.uniform(math.log(8), math.log(60), (1, num_states, 1)))  # environment steps
    sinusoid = np.sin(2 * np.pi * (t / period + rng.uniform(0, 1, (1, num_states, task.action_size))))
    mixed = np.where(rng.uniform(size=(1, num_states, 1)) < 0.5, uniform, sinusoid)

    def rollout(key: jax.Array, actions: jax.Array, by_policy: bool) -> tuple[envs.State, jax.Array]:
        def step(state: envs.State, action: jax.Array) -> tuple[envs.State, tuple[envs.State, jax.Array]]:
            if by_policy:
                action = jax.vmap(trained)(state.obs)
            state = jax.vmap(task.step)(state, action)
            return state, (state, action)

        return jax.lax.scan(step, jax.vmap(task.reset)(jax.random.split(key, num_states)), actions)[1]

    rollout = jax.jit(rollout, static_argnames="by_policy")
    behaviours = {"random": uniform, "energetic": sinusoid, "fallen": mixed}
    if trained is not None:
        behaviours["trained"] = np.zeros(size)  # the policy's take their place
    sets = {}
    for n, (label, actions) in enumerate(behaviours.items()):
        played = rollout(jax.random.key(seed + n), jnp.asarray(actions, jnp.float32), by_policy=label == "trained")
        states, actions = jax.tree.map(np.asarray, played)
        over = np.maximum.accumulate(states.terminated, axis=0)
        ends = np.where(over.any(0), over.argmax(0), ROLLOUT_STEPS - 1)  # [num_states] last step of the episode
        if label == "fallen":
            first = np.where(over.any(0), np.minimum(ends, ROLLOUT_STEPS - 2), ROLLOUT_STEPS // 2)
            pick = rng.integers(first, ROLLOUT_STEPS - 1)
        else:
            pick = rng.integers(0, np.maximum(np.minimum(ends, ROLLOUT_STEPS - 1), 1))
        drawn = jax.tree.map(operator.itemgetter((pick, np.arange(num_states))), states)
        sets[label] = jax.tree.map(jnp.asarray, drawn), jnp.asarray(actions[pick + 1, np.arange(num_states)])
    return sets


def rounded(states: envs.State, rng: np.random.Generator) -> envs.State:
    """The states, with positions and velocities that are off by a float32 rounding."""

    def off(x: jax.Array) -> jax.Array:
        return jnp.asarray(x + ROUNDING * rng.uniform(-1, 1, x.shape) * (1 + np.abs(x)), jnp.float32)

    physics = dataclasses.replace(states.physics, qpos=off(states.physics.qpos), qvel=off(states.physics.qvel))
    return dataclasses.replace(states, physics=physics)

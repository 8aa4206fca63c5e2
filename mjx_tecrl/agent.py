"""The interface by which training, checkpoints and evaluation know an agent."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from mjx_tecrl.exploration import Draw, no_exploration
from mjx_tecrl.packing import pack_small
from mjx_tecrl.types import Batch, Metrics, Rollout

AgentState = Any
"""A pytree of everything that an agent learns: parameters, targets, optimiser states, counters."""

MatmulPrecision = Literal["float32", "tensorfloat32", "bfloat16"]
"""The precision to which operands of matrix products may be rounded, by JAX's names. Products are summed in float32."""


class Agent(NamedTuple):
    """A frozen record of pure functions over an explicit state.

    Attributes:
      init: ``key -> state``.
      act: ``(state, obs [batch, obs_size], key, mode) -> action [batch, action_size]`` in [-1, 1]. ``mode`` is "sample" or
        "deterministic"; the latter does not use the key, which may be None.
      init_exploration: ``(key, num_envs) -> exploration state``.
      explore: ``(exploration state, draw, starts_episode, key) -> (action, exploration state)``, the actions with which
        experience is collected; ``draw`` is ``key -> action``, the policy's sample.
      exploration_axes: the leading axes of every array in the exploration state: ``("world",)``, or ``()`` if all worlds
        share them.
      update: ``(state, batch, key, moves=None) -> (state, metrics)``, one gradient step. A step whose batch or outcome is
        not finite changes nothing and is counted in the metric ``skipped``. ``moves`` says whether the policy moves, where
        that is known when the program is made; None leaves it to the number of the step, and costs a branch.
      delay: the policy moves on every so many-th step.
      discount: the discount factor gamma.
      n_step: rewards summed per transition.
    """

    init: Callable[[jax.Array], AgentState]
    act: Callable[[AgentState, jax.Array, jax.Array | None, str], jax.Array]
    init_exploration: Callable[[jax.Array, int], Any]
    explore: Callable[[Any, Draw, jax.Array, jax.Array], tuple[jax.Array, Any]]
    exploration_axes: tuple[str, ...]
    update: Callable[..., tuple[AgentState, Metrics]]
    delay: int
    discount: float
    n_step: int


class OnPolicyAgent(NamedTuple):
    """An agent that learns from what its present policy has just done, and then forgets it.

    Attributes:
      init: ``key -> state``.
      act: as `Agent.act`, but samples may lie outside [-1, 1]. They are clipped where the world is stepped; a rollout keeps
        them as they are.
      update: ``(state, rollout, key) -> (state, metrics)``, all gradient steps on one rollout. Its actions must have been
        drawn from exactly this state's policy. An update whose rollout or outcome is not finite changes nothing and is
        counted in the metric ``skipped``.
      rollout_steps: vector steps in a rollout.
      minibatches: must divide the number of rows of a rollout, counted over all worlds.
      updates_per_rollout: gradient steps per rollout.
      init_exploration: as `Agent.init_exploration`.
      explore: as `Agent.explore`; the policy's own samples, since an update must know how likely each action was.
      exploration_axes: as `Agent.exploration_axes`.
    """

    init: Callable[[jax.Array], AgentState]
    act: Callable[[AgentState, jax.Array, jax.Array | None, str], jax.Array]
    update: Callable[[AgentState, Rollout, jax.Array], tuple[AgentState, Metrics]]
    rollout_steps: int
    minibatches: int
    updates_per_rollout: int
    init_exploration: Callable[[jax.Array, int], Any] = no_exploration().init
    explore: Callable[[Any, Draw, jax.Array, jax.Array], tuple[jax.Array, Any]] = no_exploration().apply
    exploration_axes: tuple[str, ...] = no_exploration().axes


def learn(agent: Agent, state: AgentState, batches: Batch, keys: jax.Array) -> tuple[AgentState, Metrics]:
    """Makes many gradient steps in a row.

    If their number is a multiple of `Agent.delay`, it is known when the program is made which of them move the policy. No
    branch is then needed, and a GPU can hold all of a turn of the loop in one graph.

    Args:
      agent: the agent.
      state: of the agent. The number of its updates so far must be a multiple of `Agent.delay` if that of ``keys`` is.
      batches: with leading axis ``[steps]``.
      keys: ``[steps]`` PRNG keys.

    Returns:
      The state after the steps, and metrics with leading axis ``[steps]``.
    """
    steps = len(keys)
    size, known = (agent.delay, True) if steps % agent.delay == 0 else (1, False)

    unravel: Callable[[jax.Array], Metrics] = dict

    packed, unpack = pack_small(state)

    def turn(packed: Any, given: tuple[Batch, jax.Array]) -> tuple[Any, jax.Array]:
        nonlocal unravel
        state, rows = unpack(packed), []
        for number in range(size):
            batch, key = jax.tree.map(lambda x, number=number: x[number], given)
            state, metrics = agent.update(state, batch, key, number == size - 1 if known else None)
            row, unravel = ravel_pytree(metrics)
            rows.append(row)
        return pack_small(state)[0], jnp.stack(rows)  # one array, and not one for each metric: a GPU writes it at once

    given = jax.tree.map(lambda x: x.reshape(steps // size, size, *x.shape[1:]), (batches, keys))
    packed, rows = jax.lax.scan(turn, packed, given)
    return unpack(packed), jax.vmap(unravel)(rows.reshape(steps, -1))


AnyAgent = TypeVar("AnyAgent", bound=Agent | OnPolicyAgent)
"""One of the two kinds of agents."""


def with_matmul_precision(agent: AnyAgent, precision: MatmulPrecision) -> AnyAgent:
    """Gives the agent's matrix products a precision, forwards and backwards.

    An accelerator rounds the operands unless it is told not to: JAX's own default is "tensorfloat32" on recent NVIDIA GPUs
    and "bfloat16" on TPUs. A CPU always multiplies in float32.
    """
    at = jax.default_matmul_precision(precision)
    precise: Any = agent._replace(init=at(agent.init), act=at(agent.act), update=at(agent.update))
    return precise

"""The interface that the loops, the checkpoint and the evaluator know an agent by."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

import jax

from mjx_tecrl.exploration import Draw, no_exploration
from mjx_tecrl.types import Batch, Metrics, Rollout

AgentState = Any
"""A pytree with all that an agent learns: parameters, targets, optimisers, counters."""


MatmulPrecision = Literal["float32", "tensorfloat32", "bfloat16"]
"""What the operands of matrix products may be rounded to, by JAX's names for it; products are summed in float32."""


class Agent(NamedTuple):
    """A frozen record of pure functions over an explicit state.

    Attributes:
      init: ``key -> state``.
      act: ``(state, obs [batch, obs_size], key, mode) -> action [batch, action_size]`` in [-1, 1]; ``mode`` is "sample" or
        "deterministic" (the key is then not used and may be None).
      init_exploration: ``(key, num_envs) -> exploration state``.
      explore: ``(exploration state, draw, starts_episode, key) -> (action, exploration state)``, how experience is
        collected; ``draw`` is ``key -> action``, the policy's sample.
      exploration_axes: the leading axes of every array in the exploration state: ``("world",)``, or ``()`` if all worlds
        share them.
      update: ``(state, batch, key) -> (state, metrics)``, one gradient step. A step whose batch or outcome is not finite
        changes nothing and is counted in the metric ``skipped``.
      discount: the discount factor gamma.
      n_step: rewards summed per transition.
    """

    init: Callable[[jax.Array], AgentState]
    act: Callable[[AgentState, jax.Array, jax.Array | None, str], jax.Array]
    init_exploration: Callable[[jax.Array, int], Any]
    explore: Callable[[Any, Draw, jax.Array, jax.Array], tuple[jax.Array, Any]]
    exploration_axes: tuple[str, ...]
    update: Callable[[AgentState, Batch, jax.Array], tuple[AgentState, Metrics]]
    discount: float
    n_step: int


class OnPolicyAgent(NamedTuple):
    """An agent that learns from what its present policy has just done, and forgets it then.

    Attributes:
      init: ``key -> state``.
      act: as `Agent.act`, but samples may lie outside [-1, 1]: they are clipped where the world is stepped, and a rollout
        keeps them as they are.
      update: ``(state, rollout, key) -> (state, metrics)``, all gradient steps on one rollout, whose actions were drawn from
        exactly this state's policy. An update whose rollout or outcome is not finite changes nothing and is counted in the
        metric ``skipped``.
      rollout_steps: steps of every world in a rollout.
      minibatches: the transitions of a rollout, over all worlds, must be a multiple of this.
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


AnyAgent = TypeVar("AnyAgent", bound=Agent | OnPolicyAgent)


def with_matmul_precision(agent: AnyAgent, precision: MatmulPrecision) -> AnyAgent:
    """The agent with matrix products of that precision, forwards and backwards.

    An accelerator rounds the operands unless it is told not to: JAX's own default is "tensorfloat32" on recent NVIDIA GPUs
    and "bfloat16" on TPUs. A CPU multiplies in float32 whatever it is told.
    """
    at = jax.default_matmul_precision(precision)
    precise: Any = agent._replace(init=at(agent.init), act=at(agent.act), update=at(agent.update))
    return precise

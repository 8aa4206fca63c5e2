"""On-policy agents: policy, policy objective, advantage streams and schedule, composed into one `OnPolicyAgent`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mjx_tecrl.advantages import gae
from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.gradients import all_finite, loss_and_gradient
from mjx_tecrl.objectives import Objective
from mjx_tecrl.policies import Policy
from mjx_tecrl.types import Metrics, Params, Rollout, Transitions, check_rollout, masked_mean
from mjx_tecrl.values import TargetStats, ValueHead


@dataclasses.dataclass(frozen=True)
class Stream:
    """A signal that is summed over the future, its value network, and its share of the advantage.

    Attributes:
      name: prefix of its metrics.
      signal: ``(rollout, log_prob [steps, worlds]) -> [steps, worlds]`` what is summed.
      head: value network of the sum.
      optimizer: optimiser of the value network.
      discount: discount factor of the sum.
      gae_lambda: lambda of the advantage estimate.
      weight: factor on the advantage.
    """

    name: str
    signal: Callable[[Rollout, jax.Array], jax.Array]
    head: ValueHead
    optimizer: optax.GradientTransformation
    discount: float
    gae_lambda: float
    weight: float

    def __post_init__(self) -> None:
        if not 0 <= self.discount < 1:
            raise ValueError(f"discount must be in [0, 1), not {self.discount}")
        if not 0 <= self.gae_lambda <= 1:
            raise ValueError(f"gae_lambda must be in [0, 1], not {self.gae_lambda}")


def reward_stream(
    head: ValueHead,
    optimizer: optax.GradientTransformation,
    discount: float,
    gae_lambda: float,
    reward_scale: float = 1.0,
) -> Stream:
    """The stream of the rewards, times ``reward_scale``."""
    return Stream(
        "value", lambda rollout, log_prob: reward_scale * rollout.reward, head, optimizer, discount, gae_lambda, 1.0
    )


def entropy_stream(
    head: ValueHead, optimizer: optax.GradientTransformation, discount: float, gae_lambda: float, temperature: float
) -> Stream:
    """The stream of the sampled entropy -log pi(a|s), from the present action on: EAPO's V_H and A_H (arXiv 2407.18143)."""
    return Stream("entropy_value", lambda rollout, log_prob: -log_prob, head, optimizer, discount, gae_lambda, temperature)


@dataclasses.dataclass(frozen=True)
class RolloutSchedule:
    """How much experience per rollout, and how often it is used.

    Attributes:
      rollout_steps: vector steps per rollout.
      epochs: passes over a rollout.
      minibatches: gradient steps per pass.
    """

    rollout_steps: int
    epochs: int
    minibatches: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} must be at least 1, not {getattr(self, field.name)}")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OnPolicyState:
    """The whole state of an on-policy agent.

    Attributes:
      policy: policy parameters.
      values: parameters of each stream's value network.
      objective: state of the policy objective, which is its optimiser's.
      value_optimizers: optimiser states of the value networks.
      target_stats: running statistics of each stream's targets.
      updates: [] int32 gradient steps so far, including skipped ones.
    """

    policy: Params = dataclasses.field(metadata={"axes": ()})
    values: tuple[Params, ...] = dataclasses.field(metadata={"axes": ()})
    objective: Any = dataclasses.field(metadata={"axes": ()})
    value_optimizers: tuple[Any, ...] = dataclasses.field(metadata={"axes": ()})
    target_stats: tuple[TargetStats, ...] = dataclasses.field(metadata={"axes": ()})
    updates: jax.Array = dataclasses.field(metadata={"axes": (), "seeds": "shared"})


def compose(policy: Policy, objective: Objective, streams: tuple[Stream, ...], schedule: RolloutSchedule) -> OnPolicyAgent:
    """Composes the pieces into an agent.

    An update first computes log-probabilities, values and advantages of the whole rollout under the parameters that
    collected it. It adds up the advantages of all streams and normalises the sum over the rollout. Then the objective takes
    its step on the whole rollout. Then come ``epochs`` passes over the rollout in ``minibatches`` shuffled parts, on each of
    which the value networks and the objective take a step.

    Args:
      policy: policy.
      objective: how the policy learns.
      streams: what the advantage is made of.
      schedule: how much experience, and how often it is used.

    Raises:
      ValueError: a policy head that cannot evaluate given actions, or a policy network with batch statistics.
    """
    evaluate, kl = policy.evaluate, policy.kl
    if evaluate is None or kl is None:
        raise ValueError("on-policy agents need a policy head with a log-density and a divergence in closed form")

    if policy.batch_statistics:
        raise ValueError(
            "an on-policy agent compares the policy that learns with the one that acted, and batch statistics make the two "
            "differ from the start: choose a network without them"
        )

    def init(key: jax.Array) -> OnPolicyState:
        key_policy, *keys = jax.random.split(key, 1 + len(streams))
        params = policy.init(key_policy)
        values = tuple(stream.head.init(k) for stream, k in zip(streams, keys, strict=True))
        return OnPolicyState(
            policy=params,
            values=values,
            objective=objective.init(params),
            value_optimizers=tuple(stream.optimizer.init(v) for stream, v in zip(streams, values, strict=True)),
            target_stats=tuple(stream.head.init_stats() for stream in streams),
            updates=jnp.zeros((), jnp.int32),
        )

    def act(state: OnPolicyState, obs: jax.Array, key: jax.Array | None, mode: str) -> jax.Array:
        if mode == "deterministic":
            return policy.mode(state.policy, obs)
        if mode == "sample" and key is not None:
            return policy.sample(state.policy, obs, key).action
        raise ValueError(f'mode is "deterministic", or "sample" with a key, not {mode!r} with key {key}')

    def estimate_advantages(state: OnPolicyState, rollout: Rollout) -> tuple[OnPolicyState, Transitions, Metrics]:
        """The transitions of a rollout with their advantages, and the state with the statistics of its returns."""
        steps, worlds = rollout.valid.shape

        def everywhere(function: Callable[..., jax.Array], *inputs: jax.Array) -> jax.Array:
            """Applies a function of batches to time-major inputs."""
            return function(*(x.reshape(steps * worlds, -1) for x in inputs)).reshape(steps, worlds)

        log_prob = everywhere(lambda obs, action: evaluate(state.policy, obs, action).log_prob, rollout.obs, rollout.action)
        valid = rollout.valid.ravel()
        total = jnp.zeros((steps, worlds))
        returns, values, stats = [], [], []
        metrics: Metrics = {}
        for stream, params, stat in zip(streams, state.values, state.target_stats, strict=True):
            head = stream.head
            value = everywhere(lambda obs, h=head, p=params, s=stat: h.value(p, s, obs), rollout.obs)
            last = head.value(params, stat, rollout.last_obs)
            signal = stream.signal(rollout, log_prob)
            advantage = gae(signal, value, last, rollout, stream.discount, stream.gae_lambda)
            total += stream.weight * advantage
            target = (advantage + value).ravel()
            params, stat = head.renormalize(params, stat, target, valid)
            returns.append(target)
            values.append(params)
            stats.append(stat)
            error = _variance(advantage.ravel(), valid)
            metrics[f"{stream.name}_mean"] = masked_mean(value.ravel(), valid)
            variance = _variance(target, valid)
            metrics[f"{stream.name}_explained_variance"] = jnp.where(variance > 0, 1 - error / variance, jnp.nan)
        flat = total.ravel()
        spread = jnp.sqrt(_variance(flat, valid))
        transitions = Transitions(
            obs=rollout.obs.reshape(steps * worlds, -1),
            action=rollout.action.reshape(steps * worlds, -1),
            log_prob=log_prob.ravel(),
            advantage=(flat - masked_mean(flat, valid)) / (spread + 1e-8),
            returns=jnp.stack(returns, -1),
            valid=valid,
        )
        metrics["advantage_std"] = spread
        return dataclasses.replace(state, values=tuple(values), target_stats=tuple(stats)), transitions, metrics

    def minibatch_step(state: OnPolicyState, transitions: Transitions) -> tuple[OnPolicyState, Metrics]:
        params, objective_state, metrics = objective.minibatch_step(state.policy, state.objective, transitions)
        values, optimizers = [], []
        for i, stream in enumerate(streams):
            (loss, statistics), gradient = loss_and_gradient(stream.head.loss, has_aux=True)(
                state.values[i], state.target_stats[i], transitions.obs, transitions.returns[:, i], transitions.valid
            )
            updates, optimizer = stream.optimizer.update(gradient, state.value_optimizers[i], state.values[i])
            values.append(stream.head.settle(optax.apply_updates(state.values[i], updates), statistics))
            optimizers.append(optimizer)
            metrics |= {f"{stream.name}_loss": loss}
        state = dataclasses.replace(
            state,
            policy=params,
            objective=objective_state,
            values=tuple(values),
            value_optimizers=tuple(optimizers),
        )
        return state, metrics

    def update(state: OnPolicyState, rollout: Rollout, key: jax.Array) -> tuple[OnPolicyState, Metrics]:
        check_rollout(rollout)
        batch = rollout.valid.size
        if batch % schedule.minibatches:
            raise ValueError(f"minibatches must divide the {batch} rows of a rollout, not {schedule.minibatches}")
        # A row that is not valid may hold NaN, which the gradient would meet even behind a select.
        rollout = dataclasses.replace(
            rollout,
            action=jnp.where(rollout.valid[..., None], rollout.action, 0.0),
            reward=jnp.where(rollout.valid, rollout.reward, 0.0),
        )
        new, transitions, metrics = estimate_advantages(state, rollout)
        params, objective_state, rollout_metrics = objective.rollout_step(new.policy, new.objective, transitions)
        new = dataclasses.replace(new, policy=params, objective=objective_state)

        def epoch(state: OnPolicyState, key: jax.Array) -> tuple[OnPolicyState, Metrics]:
            order = jax.random.permutation(key, batch).reshape(schedule.minibatches, -1)
            return jax.lax.scan(
                lambda state, rows: minibatch_step(state, jax.tree.map(lambda x: jnp.take(x, rows, 0), transitions)),
                state,
                order,
            )

        new, minibatch_metrics = jax.lax.scan(epoch, new, jax.random.split(key, schedule.epochs))
        now = evaluate(new.policy, transitions.obs, transitions.action)
        metrics |= rollout_metrics | jax.tree.map(jnp.mean, minibatch_metrics)
        metrics |= {
            "entropy": transitions.mean(now.entropy),
            "kl": transitions.mean(kl(state.policy, new.policy, transitions.obs)),
            "std": transitions.mean(now.std.T),
        }
        applied = all_finite((rollout, new, rollout_metrics)) & transitions.valid.any()
        new = optax.tree.where(applied, new, state)
        new = dataclasses.replace(new, updates=state.updates + schedule.epochs * schedule.minibatches)
        metrics = {name: jnp.where(applied, value, jnp.nan) for name, value in metrics.items()}
        return new, metrics | {"skipped": 1.0 - applied}

    return OnPolicyAgent(
        init=init,
        act=act,
        update=update,
        rollout_steps=schedule.rollout_steps,
        minibatches=schedule.minibatches,
        updates_per_rollout=schedule.epochs * schedule.minibatches,
    )


def clipped_adam(learning_rate: float, max_grad_norm: float) -> optax.GradientTransformation:
    """Adam on gradients clipped to a norm of ``max_grad_norm`` (eps 1e-5, as is customary with PPO).

    Raises:
      ValueError: a norm that leaves no room to move.
    """
    if not max_grad_norm > 0:
        raise ValueError(f"max_grad_norm must be greater than 0, not {max_grad_norm}")
    return optax.chain(optax.clip_by_global_norm(max_grad_norm), optax.adam(learning_rate, eps=1e-5))


def _variance(values: jax.Array, valid: jax.Array) -> jax.Array:
    return masked_mean((values - masked_mean(values, valid)) ** 2, valid)

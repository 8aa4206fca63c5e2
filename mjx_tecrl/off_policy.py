"""Off-policy agents: policy, critic, entropy rule, exploration and schedule, composed into one `Agent`."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mjx_tecrl.agent import Agent
from mjx_tecrl.critics import Critic
from mjx_tecrl.entropy import EntropyRule
from mjx_tecrl.exploration import Exploration
from mjx_tecrl.gradients import is_finite_step
from mjx_tecrl.policies import Policy
from mjx_tecrl.types import Batch, Metrics, check_batch


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Which parameters move when, and how fast.

    Attributes:
      tau: step of the Polyak averages towards the new parameters.
      delay: the policy, the temperature and the averages move on every ``delay``-th update only.
      target_policy: take the next action from an averaged policy instead of the current one.
      discount: discount factor gamma.
      n_step: rewards summed per transition.
      reward_scale: factor on the rewards that the critics see.
      smoothing: standard deviation and clip bound of the noise on the next action in the critics' targets (TD3).
    """

    tau: float
    delay: int
    target_policy: bool
    discount: float
    n_step: int
    reward_scale: float
    smoothing: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.tau <= 1:
            raise ValueError(f"tau must be in (0, 1], not {self.tau}")
        if not 0 <= self.discount < 1:
            raise ValueError(f"discount must be in [0, 1), not {self.discount}")
        for name in ("delay", "n_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.smoothing is not None and min(self.smoothing) < 0:
            raise ValueError(f"the smoothing noise and its bound must not be negative, not {self.smoothing}")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Learned:
    """One slot per thing that is learned. Parameters, gradients and optimiser states all have this form."""

    policy: Any
    critic: Any
    entropy_critic: Any
    temperature: Any


NOT_LEARNED = optax.set_to_zero()
"""The optimiser of a slot that is not learned: whatever its gradient, nothing moves. ``optax.identity()`` would not do: it
passes the gradient on, and would add it to the parameters."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OffPolicyState:
    """The whole state of an off-policy agent.

    Attributes:
      params: what is learned.
      targets: Polyak averages of ``params``; ``temperature`` has none.
      optimizers: optimiser states.
      critic_aux: running statistics of the critic's loss.
      updates: [] int32 updates so far, including skipped ones.
    """

    params: Learned = dataclasses.field(metadata={"axes": ()})
    targets: Learned = dataclasses.field(metadata={"axes": ()})
    optimizers: Learned = dataclasses.field(metadata={"axes": ()})
    critic_aux: Any = dataclasses.field(metadata={"axes": ()})
    updates: jax.Array = dataclasses.field(metadata={"axes": (), "seeds": "shared"})


def compose(
    policy: Policy,
    critic: Critic,
    entropy: EntropyRule,
    exploration: Exploration,
    schedule: Schedule,
    optimizers: Learned,
) -> Agent:
    """Composes the pieces into an agent.

    In an update, all losses use the parameters from before it. The critics move on every update. The policy, the temperature
    and all averages move on every ``delay``-th update, and their gradients are computed only then.

    Args:
      policy: policy.
      critic: critic of the rewards.
      entropy: entropy rule.
      exploration: exploration beside the policy's own.
      schedule: which parameters move when, and how fast.
      optimizers: an ``optax.GradientTransformation`` per slot; `NOT_LEARNED` for a slot that is not learned.

    Raises:
      ValueError: an entropy rule for a policy that has no entropy, or one that learns something without an optimiser.
    """
    if entropy.needs_density and not policy.has_density:
        raise ValueError("a deterministic policy has no entropy: it cannot be composed with a temperature")
    for slot, learned in (("entropy_critic", entropy.learns_critic), ("temperature", entropy.learns_temperature)):
        if learned and getattr(optimizers, slot) is NOT_LEARNED:
            raise ValueError(f"the entropy rule learns its {slot}, so optimizers.{slot} cannot be NOT_LEARNED")

    def init(key: jax.Array) -> OffPolicyState:
        key_policy, key_critic, key_entropy = jax.random.split(key, 3)
        params = Learned(
            policy=policy.init(key_policy),
            critic=critic.init(key_critic),
            entropy_critic=entropy.init_critic(key_entropy),
            temperature=entropy.init_temperature(),
        )
        targets = dataclasses.replace(params, temperature=())
        if not schedule.target_policy:
            targets = dataclasses.replace(targets, policy=())
        return OffPolicyState(
            params=params,
            # Copies, because a buffer that occurs twice in the state cannot be donated.
            targets=jax.tree.map(jnp.copy, targets),
            optimizers=Learned(**{name: getattr(optimizers, name).init(getattr(params, name)) for name in _SLOTS}),
            critic_aux=critic.init_aux(),
            updates=jnp.zeros((), jnp.int32),
        )

    def act(state: OffPolicyState, obs: jax.Array, key: jax.Array | None, mode: str) -> jax.Array:
        if mode == "deterministic":
            return policy.mode(state.params.policy, obs)
        if mode == "sample" and key is not None:
            return policy.sample(state.params.policy, obs, key).action
        raise ValueError(f'mode is "deterministic", or "sample" with a key, not {mode!r} with key {key}')

    def smooth(action: jax.Array, key: jax.Array) -> jax.Array:
        if schedule.smoothing is None:
            return action
        std, bound = schedule.smoothing
        noise = std * jax.random.normal(key, action.shape)
        return jnp.clip(action + jnp.clip(noise, -bound, bound), -1, 1)

    def critic_loss(params: Learned, state: OffPolicyState, batch: Batch, key: jax.Array) -> tuple[jax.Array, Any]:
        key_action, key_smoothing, key_one_step, key_target = jax.random.split(key, 4)
        next_policy = state.targets.policy if schedule.target_policy else state.params.policy
        sample = jax.lax.stop_gradient(policy.sample(next_policy, batch.next_obs, key_action))
        bonus = jax.lax.stop_gradient(entropy.next_bonus(state.params.temperature, sample))
        next_action = smooth(sample.action, key_smoothing)
        loss, (aux, statistics, metrics) = critic.loss(
            params.critic, state.targets.critic, state.critic_aux, batch, next_action, bonus, key_target
        )
        if batch.one_step is not None:
            # The replay's actions in between were drawn by older policies. Only for the action after the first step can the
            # present policy be asked, so the entropy critic learns from one step.
            discount, next_obs = batch.one_step
            batch = dataclasses.replace(batch, discount=discount, next_obs=next_obs)
            sample = jax.lax.stop_gradient(policy.sample(next_policy, next_obs, key_one_step))
        entropy_loss, (entropy_statistics, entropy_metrics) = entropy.critic_loss(
            params.entropy_critic, state.targets.entropy_critic, batch, sample
        )
        metrics = {"critic_loss": loss, **metrics, **entropy_metrics}
        return loss + entropy_loss, (aux, (statistics, entropy_statistics), metrics)

    def policy_loss(params: Learned, state: OffPolicyState, batch: Batch, key: jax.Array) -> tuple[jax.Array, Any]:
        fixed = state.params
        sample, statistics = policy.sample_in_training(params.policy, batch, key)
        value = critic.value(fixed.critic, batch.obs, sample.action)
        cost = entropy.policy_cost(fixed.entropy_critic, fixed.temperature, batch.obs, sample)
        loss = batch.mean(cost - value)
        temperature_loss, metrics = entropy.temperature_loss(
            params.temperature, fixed.entropy_critic, batch, *jax.lax.stop_gradient((sample, value))
        )
        metrics |= {"policy_loss": loss}
        if policy.has_density:
            metrics |= {"entropy": batch.mean(-sample.log_prob), "std": batch.mean(sample.std.T)}
        return loss + temperature_loss, (statistics, metrics)

    def descend(state: OffPolicyState, grads: Learned, names: tuple[str, ...]) -> OffPolicyState:
        new_params, new_optimizers = {}, {}
        for name in names:
            params = getattr(state.params, name)
            updates, new_optimizers[name] = getattr(optimizers, name).update(
                getattr(grads, name), getattr(state.optimizers, name), params
            )
            new_params[name] = optax.apply_updates(params, updates)
        return dataclasses.replace(
            state,
            params=dataclasses.replace(state.params, **new_params),
            optimizers=dataclasses.replace(state.optimizers, **new_optimizers),
        )

    def update(
        state: OffPolicyState, batch: Batch, key: jax.Array, moves: bool | None = None
    ) -> tuple[OffPolicyState, Metrics]:
        check_batch(batch)
        key_critic, key_policy = jax.random.split(key)
        batch = dataclasses.replace(batch, reward=batch.reward * schedule.reward_scale)
        (loss, (aux, statistics, metrics)), grads = jax.value_and_grad(critic_loss, has_aux=True)(
            state.params, state, batch, key_critic
        )
        # The batch is checked too: a categorical critic would clip an infinite reward to its last atom and learn that. All
        # of this is known before anything moves, so that keeping the old state needs no second pass over it.
        finite = is_finite_step(loss, grads, (batch, aux, statistics))

        def move_critics() -> OffPolicyState:
            new = descend(state, grads, ("critic", "entropy_critic"))
            settled = {
                "critic": critic.settle(new.params.critic, statistics[0]),
                "entropy_critic": entropy.settle(new.params.entropy_critic, statistics[1]),
            }
            return dataclasses.replace(new, params=dataclasses.replace(new.params, **settled), critic_aux=aux)

        def move_everything() -> tuple[OffPolicyState, jax.Array, Metrics]:
            (loss, (policy_statistics, metrics)), grads = jax.value_and_grad(policy_loss, has_aux=True)(
                state.params, state, batch, key_policy
            )
            all_finite = finite & is_finite_step(loss, grads, policy_statistics)
            new = descend(move_critics(), grads, ("policy", "temperature"))
            settled = policy.settle(new.params.policy, policy_statistics)
            new = dataclasses.replace(new, params=dataclasses.replace(new.params, policy=settled))
            averages = {
                name: optax.incremental_update(getattr(new.params, name), getattr(new.targets, name), schedule.tau)
                for name in _SLOTS
                if jax.tree.leaves(getattr(new.targets, name))
            }
            new = dataclasses.replace(new, targets=dataclasses.replace(new.targets, **averages))
            return optax.tree.where(all_finite, new, state), all_finite, metrics

        def move_critics_alone() -> tuple[OffPolicyState, jax.Array, Metrics]:
            shapes = jax.eval_shape(move_everything)[2]
            none = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes)
            return optax.tree.where(finite, move_critics(), state), finite, none

        if moves is None and schedule.delay > 1:
            now = state.updates % schedule.delay == schedule.delay - 1
            new, applied, policy_metrics = jax.lax.cond(now, move_everything, move_critics_alone)
        else:
            new, applied, policy_metrics = move_critics_alone() if moves is False else move_everything()

        metrics = {name: jnp.where(applied, value, jnp.nan) for name, value in (metrics | policy_metrics).items()}
        return dataclasses.replace(new, updates=state.updates + 1), metrics | {"skipped": 1.0 - applied}

    return Agent(
        init=init,
        act=act,
        init_exploration=exploration.init,
        explore=exploration.apply,
        exploration_axes=exploration.axes,
        update=update,
        delay=schedule.delay,
        discount=schedule.discount,
        n_step=schedule.n_step,
    )


_SLOTS = tuple(field.name for field in dataclasses.fields(Learned))

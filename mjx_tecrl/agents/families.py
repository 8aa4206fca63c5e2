"""What the agents of a family have in common: constants, schedule and optimisers."""

import dataclasses
from typing import Any

import optax

from mjx_tecrl.networks import Architecture, mlp
from mjx_tecrl.objectives import Objective, clipped
from mjx_tecrl.off_policy import NOT_LEARNED, Learned, Schedule
from mjx_tecrl.on_policy import RolloutSchedule, Stream, clipped_adam, reward_stream
from mjx_tecrl.policies import Policy
from mjx_tecrl.types import Spec
from mjx_tecrl.values import value_head


@dataclasses.dataclass(frozen=True)
class OffPolicyConfig:
    """Constants that every agent with a replay has."""

    discount: float = 0.99
    """discount factor gamma"""
    tau: float = 0.005
    """step of the Polyak averages"""
    delay: int = 2
    """updates per update of policy, temperature and averages"""
    n_step: int = 1
    """rewards summed per transition"""
    reward_scale: float = 1.0
    """factor on the rewards that the critics see"""

    def schedule(self, **pieces: Any) -> Schedule:
        """The schedule. ``pieces`` are its fields that differ from agent to agent."""
        constants = {field.name: getattr(self, field.name) for field in dataclasses.fields(OffPolicyConfig)}
        return Schedule(**constants | pieces)


@dataclasses.dataclass(frozen=True)
class BaselineConfig(OffPolicyConfig):
    """Constants that all off-policy agents of TECRL's comparison share (arXiv 2511.11592)."""

    reward_scale: float = 0.1
    """factor on the rewards that the critics see"""
    hidden: tuple[int, ...] = (256, 256, 256)
    """widths of the hidden layers of every network"""
    layer_norm: bool = False
    """normalise each hidden layer: values stay bounded when many gradient steps follow one vector step"""
    critic_lr: float = 1e-4
    """Adam step size of the critics"""
    policy_lr: float = 1e-4
    """Adam step size of the policy"""

    def perceptron(self) -> Architecture:
        """The multilayer perceptron that policy and critics are made of."""
        return mlp(self.hidden, layer_norm=self.layer_norm)

    def optimizers(self, alpha_lr: float | None = None, entropy_critic_lr: float | None = None) -> Learned:
        """Adam for everything that has a step size. What has none is not learned."""
        rates = {
            "policy": self.policy_lr,
            "critic": self.critic_lr,
            "entropy_critic": entropy_critic_lr,
            "temperature": alpha_lr,
        }
        return Learned(**{slot: NOT_LEARNED if lr is None else optax.adam(lr) for slot, lr in rates.items()})


@dataclasses.dataclass(frozen=True)
class TemperatureConfig(BaselineConfig):
    """Constants that agents with a temperature have in addition."""

    alpha_lr: float = 3e-4
    """Adam step size of the log temperature"""
    init_log_alpha: float = 1.0
    """initial log temperature"""
    rho: float = 1.0
    """target entropy in units of -action_size"""


@dataclasses.dataclass(frozen=True)
class ParallelConfig(OffPolicyConfig):
    """Constants that FastTD3 (arXiv 2505.22642) and its descendants share."""

    tau: float = 0.1
    """step of the Polyak averages"""
    policy_hidden: tuple[int, ...] = (512, 256, 128)
    """widths of the policy's hidden layers"""
    critic_hidden: tuple[int, ...] = (1024, 512, 256)
    """widths of each critic's hidden layers"""
    critics: int = 2
    """number of critics"""
    num_atoms: int = 101
    """atoms of the value distribution"""
    value_range: tuple[float, float] = (-250.0, 250.0)
    """smallest and largest value (of scaled rewards)"""
    critic_lr: float = 3e-4
    """AdamW step size of the critics"""
    policy_lr: float = 3e-4
    """AdamW step size of the policy"""
    weight_decay: float = 0.1
    """AdamW weight decay"""

    def optimizers(self, alpha_lr: float | None = None, beta2: float = 0.999) -> Learned:
        """AdamW for policy and critics, Adam for the temperature if it has a step size."""

        def adamw(lr: float) -> optax.GradientTransformation:
            return optax.adamw(lr, b2=beta2, weight_decay=self.weight_decay)

        return Learned(
            policy=adamw(self.policy_lr),
            critic=adamw(self.critic_lr),
            entropy_critic=NOT_LEARNED,
            temperature=NOT_LEARNED if alpha_lr is None else optax.adam(alpha_lr, b2=beta2),
        )


@dataclasses.dataclass(frozen=True)
class OnPolicyConfig:
    """Constants that the on-policy agents share: those of the baselines in TECRL (arXiv 2511.11592), or customary ones.

    Policy and value have separate networks and optimisers, so that no coefficient stands between their losses.
    """

    hidden: tuple[int, ...] = (64, 64)
    """widths of the hidden layers of every network"""
    value_lr: float = 3e-4
    """Adam step size of the value network"""
    max_grad_norm: float = 0.5
    """limit on the norm of each network's gradient"""
    discount: float = 0.99
    """discount factor gamma"""
    gae_lambda: float = 0.95
    """lambda of the generalised advantage estimate"""
    rollout_steps: int = 100
    """vector steps per rollout; with the paper's 20 worlds, 2000 transitions"""
    epochs: int = 10
    """passes over a rollout"""
    minibatches: int = 20
    """gradient steps per pass; must divide the transitions of a rollout"""
    reward_scale: float = 1.0
    """factor on the rewards that the value network sees"""
    popart: float = 0.0
    """step of the running statistics that normalise the value network's targets, per rollout; 0 for none"""

    def schedule(self) -> RolloutSchedule:
        """How much experience, and how often it is used."""
        return RolloutSchedule(self.rollout_steps, self.epochs, self.minibatches)

    def rewards(self, spec: Spec) -> Stream:
        """The rewards, their value network and its optimiser."""
        return reward_stream(
            value_head(spec, mlp(self.hidden, "tanh"), self.popart),
            clipped_adam(self.value_lr, self.max_grad_norm),
            self.discount,
            self.gae_lambda,
            self.reward_scale,
        )


@dataclasses.dataclass(frozen=True)
class ClippedConfig(OnPolicyConfig):
    """Constants that PPO and its descendants have in addition."""

    policy_lr: float = 3e-4
    """Adam step size of the policy"""
    clip: float = 0.2
    """how far the probability ratio may move from 1"""

    def objective(self, policy: Policy, entropy_bonus: float = 0.0) -> Objective:
        """PPO's objective, and its optimiser."""
        return clipped(policy, clipped_adam(self.policy_lr, self.max_grad_norm), self.clip, entropy_bonus)

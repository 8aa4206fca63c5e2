"""PPO-ERA: PPO whose policy head is ERA's truncated Gaussian, and no entropy bonus (arXiv 2510.08549).

The floor on the entropy is held by the head, whatever the objective does. That it is 0.25 nats per dimension, as SAC-ERA's,
is this project's choice.
"""

import dataclasses

from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.objectives import clipped
from mjx_tecrl.on_policy import RolloutSchedule, clipped_adam, compose, reward_stream
from mjx_tecrl.policies import era_gaussian
from mjx_tecrl.types import Spec
from mjx_tecrl.values import value_head


@dataclasses.dataclass(frozen=True)
class PPOERAConfig:
    """PPO's constants, and ERA's."""

    hidden: tuple[int, ...] = (64, 64)
    """widths of the hidden layers of every network"""
    entropy_per_dim: float = 0.25
    """entropy floor of the underlying Gaussian, nats per action dimension"""
    log_std_range: tuple[float, float] = (-8.0, 0.0)
    """limits of the log standard deviation"""
    policy_lr: float = 3e-4
    """Adam step size of the policy"""
    value_lr: float = 3e-4
    """Adam step size of the value network"""
    max_grad_norm: float = 0.5
    """limit on the norm of each network's gradient"""
    clip: float = 0.2
    """how far the probability ratio may move from 1"""
    discount: float = 0.99
    """discount factor gamma"""
    gae_lambda: float = 0.95
    """lambda of the generalised advantage estimate"""
    rollout_steps: int = 100
    """steps of every world per rollout; with the paper's 20 worlds 2000 transitions"""
    epochs: int = 10
    """passes over a rollout"""
    minibatches: int = 20
    """gradient steps per pass; must divide the transitions of a rollout"""
    reward_scale: float = 1.0
    """factor on the rewards that the value network sees"""
    popart: float = 0.0
    """step of the running statistics that normalise the value network's targets, per rollout; 0 for none"""


def ppo_era(config: PPOERAConfig, spec: Spec) -> OnPolicyAgent:
    """ERA truncated Gaussian x clipped surrogate x rewards."""
    policy = era_gaussian(
        spec,
        config.hidden,
        "tanh",
        output_std=0.01,
        entropy_per_dim=config.entropy_per_dim,
        log_std_range=config.log_std_range,
    )
    return compose(
        policy=policy,
        objective=clipped(policy, clipped_adam(config.policy_lr, config.max_grad_norm), config.clip),
        streams=(
            reward_stream(
                value_head(spec, config.hidden, popart=config.popart),
                clipped_adam(config.value_lr, config.max_grad_norm),
                config.discount,
                config.gae_lambda,
                config.reward_scale,
            ),
        ),
        schedule=RolloutSchedule(config.rollout_steps, config.epochs, config.minibatches),
    )

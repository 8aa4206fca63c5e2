"""EAPO: PPO with the advantage of the future entropy beside that of the rewards (arXiv 2407.18143).

PopArt normalises both value networks. This project chose to give the entropy the discount and lambda of the rewards, and
chose the step of PopArt's statistics, which is taken once per rollout.
"""

import dataclasses

from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.agents.families import ClippedConfig
from mjx_tecrl.networks import mlp
from mjx_tecrl.on_policy import compose, entropy_stream
from mjx_tecrl.policies import gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class EAPOConfig(ClippedConfig):
    """PPO's constants, and EAPO's."""

    init_log_std: float = 0.0
    """initial log standard deviation of every action"""
    temperature: float = 0.02
    """tau_H: factor on the advantage of the entropy"""
    entropy_discount: float = 0.99
    """discount factor gamma_H of the future entropy"""
    entropy_gae_lambda: float = 0.95
    """lambda of the entropy's generalised advantage estimate"""
    popart: float = 0.1
    """step of the running statistics that normalise the value networks' targets, per rollout"""


def eapo(config: EAPOConfig, spec: Spec) -> OnPolicyAgent:
    """Gaussian policy x clipped surrogate x rewards and entropies."""
    policy = gaussian(spec, mlp(config.hidden, "tanh", output_std=0.01), config.init_log_std)
    rewards = config.rewards(spec)
    entropies = entropy_stream(
        rewards.head, rewards.optimizer, config.entropy_discount, config.entropy_gae_lambda, config.temperature
    )
    return compose(
        policy=policy,
        objective=config.objective(policy),
        streams=(rewards, entropies),
        schedule=config.schedule(),
    )

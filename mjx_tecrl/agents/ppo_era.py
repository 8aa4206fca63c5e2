"""PPO-ERA: PPO whose policy head is ERA's truncated Gaussian, and no entropy bonus (arXiv 2510.08549).

The head keeps the entropy above its floor, whatever the objective does. This project chose a floor of 0.25 nats per
dimension, which is SAC-ERA's.
"""

import dataclasses

from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.agents.families import ClippedConfig
from mjx_tecrl.networks import mlp
from mjx_tecrl.on_policy import compose
from mjx_tecrl.policies import era_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class PPOERAConfig(ClippedConfig):
    """PPO's constants, and ERA's."""

    entropy_per_dim: float = 0.25
    """entropy floor of the underlying Gaussian, nats per action dimension"""
    log_std_range: tuple[float, float] = (-8.0, 0.0)
    """limits of the log standard deviation"""


def ppo_era(config: PPOERAConfig, spec: Spec) -> OnPolicyAgent:
    """ERA truncated Gaussian x clipped surrogate x rewards."""
    network = mlp(config.hidden, "tanh", output_std=0.01)
    policy = era_gaussian(spec, network, config.entropy_per_dim, config.log_std_range)
    return compose(
        policy=policy,
        objective=config.objective(policy),
        streams=(config.rewards(spec),),
        schedule=config.schedule(),
    )

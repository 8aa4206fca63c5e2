"""FastSAC-ERA: FastTD3 with ERA's truncated Gaussian at the actor's output and no delay (arXiv 2510.08549, 2505.22642).

There is no public code. This project chose to add the per-world noise to the sample, and chose the floor of 0.25 nats per
dimension.
"""

import dataclasses

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import ParallelConfig
from mjx_tecrl.critics import categorical_critic
from mjx_tecrl.entropy import no_entropy
from mjx_tecrl.exploration import per_world_noise
from mjx_tecrl.networks import mlp
from mjx_tecrl.off_policy import compose
from mjx_tecrl.policies import era_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class FastSACERAConfig(ParallelConfig):
    """FastTD3's constants, and ERA's."""

    delay: int = 1
    """updates per update of policy and averages"""
    entropy_per_dim: float = 0.25
    """entropy floor of the underlying Gaussian, nats per action dimension"""
    log_std_range: tuple[float, float] = (-8.0, 0.0)
    """limits of the log standard deviation"""
    noise_range: tuple[float, float] = (0.001, 0.4)
    """range of the per-world exploration noise (normalised action units)"""


def fast_sac_era(config: FastSACERAConfig, spec: Spec) -> Agent:
    """ERA truncated Gaussian x categorical critics x no entropy term x per-world noise."""
    return compose(
        policy=era_gaussian(
            spec,
            mlp(config.policy_hidden, "relu", output_std=0.01),
            config.entropy_per_dim,
            config.log_std_range,
        ),
        critic=categorical_critic(
            spec, mlp(config.critic_hidden, "relu"), config.critics, config.num_atoms, config.value_range
        ),
        entropy=no_entropy(),
        exploration=per_world_noise(*config.noise_range),
        schedule=config.schedule(target_policy=False),
        optimizers=config.optimizers(),
    )

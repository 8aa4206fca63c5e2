"""FastSAC-ERA: FastTD3 with ERA's truncated Gaussian at the actor's output and no delay (arXiv 2510.08549, 2505.22642).

There is no public code: that the per-world noise is added to the sample, and the floor of 0.25 nats per dimension, are this
project's choices.
"""

import dataclasses

import optax

from mjx_tecrl.agent import Agent
from mjx_tecrl.critics import categorical_critic
from mjx_tecrl.entropy import no_entropy
from mjx_tecrl.exploration import per_world_noise
from mjx_tecrl.off_policy import Learned, Schedule, compose
from mjx_tecrl.policies import era_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class FastSACERAConfig:
    """FastTD3's constants, and ERA's."""

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
    entropy_per_dim: float = 0.25
    """entropy floor of the underlying Gaussian, nats per action dimension"""
    log_std_range: tuple[float, float] = (-8.0, 0.0)
    """limits of the log standard deviation"""
    noise_range: tuple[float, float] = (0.001, 0.4)
    """range of the per-world exploration noise (normalised action units)"""
    critic_lr: float = 3e-4
    """AdamW step size of the critics"""
    policy_lr: float = 3e-4
    """AdamW step size of the policy"""
    weight_decay: float = 0.1
    """AdamW weight decay"""
    discount: float = 0.99
    """discount factor gamma"""
    tau: float = 0.1
    """step of the Polyak averages"""
    delay: int = 1
    """updates per update of policy and averages"""
    reward_scale: float = 1.0
    """factor on the rewards that the critics see"""
    n_step: int = 1
    """rewards summed per transition"""


def fast_sac_era(config: FastSACERAConfig, spec: Spec) -> Agent:
    """ERA truncated Gaussian x categorical critics x no entropy term x per-world noise."""
    return compose(
        policy=era_gaussian(
            spec,
            config.policy_hidden,
            output_std=0.01,
            entropy_per_dim=config.entropy_per_dim,
            log_std_range=config.log_std_range,
        ),
        critic=categorical_critic(
            spec,
            config.critic_hidden,
            members=config.critics,
            num_atoms=config.num_atoms,
            value_range=config.value_range,
        ),
        entropy=no_entropy(),
        exploration=per_world_noise(*config.noise_range),
        schedule=Schedule(
            tau=config.tau,
            delay=config.delay,
            target_policy=False,
            discount=config.discount,
            n_step=config.n_step,
            reward_scale=config.reward_scale,
        ),
        optimizers=Learned(
            policy=optax.adamw(config.policy_lr, weight_decay=config.weight_decay),
            critic=optax.adamw(config.critic_lr, weight_decay=config.weight_decay),
            entropy_critic=optax.identity(),
            log_alpha=optax.identity(),
        ),
    )

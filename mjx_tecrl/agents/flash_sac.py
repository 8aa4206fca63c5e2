"""FlashSAC: SAC on residual networks with batch normalisation and weights on unit spheres (arXiv 2604.04539)."""

import dataclasses

import optax

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import OffPolicyConfig
from mjx_tecrl.critics import categorical_critic
from mjx_tecrl.entropy import entropy_in_value, step_target
from mjx_tecrl.exploration import repeated_noise
from mjx_tecrl.networks import residual
from mjx_tecrl.off_policy import NOT_LEARNED, Learned, compose
from mjx_tecrl.policies import tanh_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class FlashSACConfig(OffPolicyConfig):
    """The authors' constants. They are meant for normalised rewards (``--normalize-reward``)."""

    policy_blocks: int = 2
    """residual blocks of the policy"""
    policy_width: int = 128
    """width of the policy's network; four times that in the middle of a block"""
    critic_blocks: int = 2
    """residual blocks of each critic"""
    critic_width: int = 256
    """width of each critic's network; four times that in the middle of a block"""
    critics: int = 2
    """number of critics"""
    num_atoms: int = 101
    """atoms of the value distribution"""
    value_range: tuple[float, float] = (-5.0, 5.0)
    """smallest and largest value (of scaled rewards)"""
    lr: float = 3e-4
    """first Adam step size, of everything"""
    final_lr: float = 1.5e-4
    """last step size; the step size follows a cosine from the first to the last"""
    decay_updates: int = 1_000_000
    """updates until the last step size; by default the number of updates of the run"""
    tau: float = 0.01
    """step of the Polyak averages"""
    init_log_alpha: float = -4.60517
    """initial log temperature, the logarithm of 0.01"""
    rho: float = 0.4782
    """target entropy in units of -action_size; 0.4782 gives the entropy of a Gaussian with a standard deviation of 0.15"""
    log_std_range: tuple[float, float] = (-10.0, 2.0)
    """limits of the log standard deviation"""
    repeat_exponent: float = 2.0
    """exponent of the zeta distribution of the steps for which exploration keeps its noise"""
    repeat_most: int = 16
    """largest number of such steps"""


def flash_sac(config: FlashSACConfig, spec: Spec) -> Agent:
    """Residual networks x tanh-Gaussian policy x categorical critics x entropy inside the value x repeated noise."""
    if config.decay_updates < 1:
        raise ValueError(f"decay_updates must be at least 1, not {config.decay_updates}")
    if config.lr <= 0:
        raise ValueError(f"lr must be positive, not {config.lr}")
    adam = optax.adam(optax.cosine_decay_schedule(config.lr, config.decay_updates, config.final_lr / config.lr))
    return compose(
        policy=tanh_gaussian(
            spec, residual(config.policy_blocks, config.policy_width), config.log_std_range, log_std_limit="tanh"
        ),
        critic=categorical_critic(
            spec,
            residual(config.critic_blocks, config.critic_width),
            config.critics,
            config.num_atoms,
            config.value_range,
        ),
        entropy=entropy_in_value(step_target(spec, config.rho, config.init_log_alpha)),
        exploration=repeated_noise(config.repeat_exponent, config.repeat_most),
        schedule=config.schedule(target_policy=False),
        optimizers=Learned(policy=adam, critic=adam, entropy_critic=NOT_LEARNED, temperature=adam),
    )

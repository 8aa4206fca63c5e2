"""DSAC-E: DSAC-T under TECRL's trajectory entropy constraint (arXiv 2511.11592), the default agent."""

import dataclasses

import optax

from mjx_tecrl.agent import Agent
from mjx_tecrl.critics import gaussian_critic
from mjx_tecrl.entropy import trajectory_entropy
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.off_policy import Learned, Schedule, compose
from mjx_tecrl.policies import tanh_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class DSACEConfig:
    """The paper's constants."""

    hidden: tuple[int, ...] = (256, 256, 256)
    """widths of the hidden layers of every network"""
    critics: int = 2
    """number of reward critics"""
    critic_lr: float = 1e-4
    """Adam step size of the reward critics"""
    entropy_critic_lr: float = 1e-4
    """Adam step size of the entropy critic"""
    policy_lr: float = 1e-4
    """Adam step size of the policy"""
    alpha_lr: float = 3e-4
    """Adam step size of the log temperature"""
    init_log_alpha: float = 1.0
    """initial log temperature"""
    rho: float = 1.0
    """entropy budget in units of -action_size / (1 - discount); the paper has 20 on humanoid and walker2d"""
    discount: float = 0.99
    """discount factor gamma"""
    tau: float = 0.005
    """step of the Polyak averages, and of the critics' average spread"""
    delay: int = 2
    """updates per update of policy, temperature and averages"""
    reward_scale: float = 0.1
    """factor on the rewards that the critics see"""
    zeta: float = 3.0
    """clip bound of the sampled target, in average spreads"""


def dsac_e(config: DSACEConfig, spec: Spec) -> Agent:
    """Tanh-Gaussian policy x Gaussian critics x trajectory constraint."""
    return compose(
        policy=tanh_gaussian(spec, config.hidden),
        critic=gaussian_critic(spec, config.hidden, members=config.critics, tau_b=config.tau, zeta=config.zeta),
        entropy=trajectory_entropy(
            spec,
            config.hidden,
            rho=config.rho,
            discount=config.discount,
            init_log_alpha=config.init_log_alpha,
        ),
        exploration=no_exploration(),
        schedule=Schedule(
            tau=config.tau,
            delay=config.delay,
            target_policy=True,
            discount=config.discount,
            n_step=1,  # the entropy critic would miss the entropies of the steps in between
            reward_scale=config.reward_scale,
        ),
        optimizers=Learned(
            policy=optax.adam(config.policy_lr),
            critic=optax.adam(config.critic_lr),
            entropy_critic=optax.adam(config.entropy_critic_lr),
            log_alpha=optax.adam(config.alpha_lr),
        ),
    )

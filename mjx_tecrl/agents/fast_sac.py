"""FastSAC: SAC for thousands of worlds, on FastTD3's critics (the authors' second version, December 2025)."""

import dataclasses

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import ParallelConfig
from mjx_tecrl.critics import categorical_critic
from mjx_tecrl.entropy import entropy_in_value, step_target
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.networks import mlp
from mjx_tecrl.off_policy import compose
from mjx_tecrl.policies import tanh_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class FastSACConfig(ParallelConfig):
    """The authors' constants. The temperature has the step size of the other networks."""

    critic_hidden: tuple[int, ...] = (768, 384, 192)
    """widths of each critic's hidden layers"""
    value_range: tuple[float, float] = (-20.0, 20.0)
    """smallest and largest value (of scaled rewards)"""
    weight_decay: float = 0.001
    """AdamW weight decay"""
    discount: float = 0.97
    """discount factor gamma"""
    tau: float = 0.125
    """step of the Polyak averages"""
    delay: int = 4
    """updates per update of policy, temperature and averages"""
    alpha_lr: float = 3e-4
    """Adam step size of the log temperature"""
    init_log_alpha: float = -6.907755
    """initial log temperature, the logarithm of 0.001"""
    rho: float = 0.0
    """target entropy in units of -action_size"""
    log_std_range: tuple[float, float] = (-5.0, 0.0)
    """limits of the log standard deviation"""


def fast_sac(config: FastSACConfig, spec: Spec) -> Agent:
    """Tanh-Gaussian policy x categorical critics that average x entropy inside the value."""
    return compose(
        policy=tanh_gaussian(spec, mlp(config.policy_hidden, "silu", layer_norm=True, output_std=0.0), config.log_std_range),
        critic=categorical_critic(
            spec,
            mlp(config.critic_hidden, "silu", layer_norm=True),
            config.critics,
            config.num_atoms,
            config.value_range,
            pessimistic=False,
        ),
        entropy=entropy_in_value(step_target(spec, config.rho, config.init_log_alpha)),
        exploration=no_exploration(),
        schedule=config.schedule(target_policy=False),
        optimizers=config.optimizers(config.alpha_lr, beta2=0.95),
    )

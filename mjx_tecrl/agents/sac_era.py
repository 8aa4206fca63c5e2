"""SAC-ERA: SAC whose entropy is ERA's activation alone, without temperature or entropy term (arXiv 2510.08549)."""

import dataclasses

import optax

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import BaselineConfig
from mjx_tecrl.critics import scalar_critic
from mjx_tecrl.entropy import no_entropy
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.networks import mlp
from mjx_tecrl.off_policy import compose
from mjx_tecrl.policies import era_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class SACERAConfig(BaselineConfig):
    """The constants of the authors' code. It leaves the weight decay to its library's default; here it is optax's."""

    hidden: tuple[int, ...] = (512, 512)
    """widths of the hidden layers of every network"""
    layer_norm: bool = True
    """normalise each hidden layer of the critics"""
    critics: int = 2
    """number of critics"""
    critic_lr: float = 3e-4
    """AdamW step size of the critics"""
    policy_lr: float = 3e-4
    """Adam step size of the policy"""
    weight_decay: float = 1e-4
    """AdamW weight decay"""
    delay: int = 1
    """updates per update of policy and averages"""
    reward_scale: float = 1.0
    """factor on the rewards that the critics see"""
    entropy_per_dim: float = 0.25
    """entropy floor of the underlying Gaussian, nats per action dimension"""
    log_std_range: tuple[float, float] = (-8.0, 0.0)
    """limits of the log standard deviation"""


def sac_era(config: SACERAConfig, spec: Spec) -> Agent:
    """ERA truncated Gaussian x scalar critics x no entropy term."""
    return compose(
        policy=era_gaussian(spec, mlp(config.hidden, "relu"), config.entropy_per_dim, config.log_std_range),
        critic=scalar_critic(spec, mlp(config.hidden, "relu", layer_norm=config.layer_norm), config.critics),
        entropy=no_entropy(),
        exploration=no_exploration(),
        schedule=config.schedule(target_policy=False),
        optimizers=dataclasses.replace(
            config.optimizers(), critic=optax.adamw(config.critic_lr, weight_decay=config.weight_decay)
        ),
    )

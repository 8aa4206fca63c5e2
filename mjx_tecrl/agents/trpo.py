"""TRPO: trust region policy optimisation (arXiv 1502.05477), with the constants of TECRL's baseline (arXiv 2511.11592)."""

import dataclasses

from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.agents.families import OnPolicyConfig
from mjx_tecrl.networks import mlp
from mjx_tecrl.objectives import trust_region
from mjx_tecrl.on_policy import compose
from mjx_tecrl.policies import gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class TRPOConfig(OnPolicyConfig):
    """The constants of conjugate gradient, damping, line search and of the value network's Adam are the customary ones."""

    init_log_std: float = 0.0
    """initial log standard deviation of every action"""
    max_kl: float = 0.01
    """bound on the mean divergence of one step (nats)"""
    damping: float = 0.1
    """added to the diagonal of the Fisher matrix"""
    cg_iterations: int = 10
    """iterations of the conjugate gradient"""
    backtracks: int = 10
    """step lengths tried"""
    shrink: float = 0.8
    """factor from each step length to the next"""
    value_lr: float = 1e-3
    """Adam step size of the value network"""


def trpo(config: TRPOConfig, spec: Spec) -> OnPolicyAgent:
    """Gaussian policy x trust region x rewards."""
    policy = gaussian(spec, mlp(config.hidden, "tanh", output_std=0.01), config.init_log_std)
    return compose(
        policy=policy,
        objective=trust_region(
            policy, config.max_kl, config.damping, config.cg_iterations, config.backtracks, config.shrink
        ),
        streams=(config.rewards(spec),),
        schedule=config.schedule(),
    )

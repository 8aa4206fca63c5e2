"""TRPO: trust region policy optimisation (arXiv 1502.05477).

Networks, GAE, the bound on the divergence and the size of a rollout are those of the baseline in TECRL (arXiv 2511.11592).
Conjugate gradient, damping, line search and a value network learned by Adam are the customary ones.
"""

import dataclasses

from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.objectives import trust_region
from mjx_tecrl.on_policy import RolloutSchedule, clipped_adam, compose, reward_stream
from mjx_tecrl.policies import gaussian
from mjx_tecrl.types import Spec
from mjx_tecrl.values import value_head


@dataclasses.dataclass(frozen=True)
class TRPOConfig:
    """The customary constants."""

    hidden: tuple[int, ...] = (64, 64)
    """widths of the hidden layers of every network"""
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
    max_grad_norm: float = 0.5
    """limit on the norm of the value network's gradient"""
    discount: float = 0.99
    """discount factor gamma"""
    gae_lambda: float = 0.95
    """lambda of the generalised advantage estimate"""
    rollout_steps: int = 100
    """steps of every world per rollout; with the paper's 20 worlds 2000 transitions"""
    epochs: int = 10
    """passes of the value network over a rollout"""
    minibatches: int = 20
    """gradient steps per pass; must divide the transitions of a rollout"""
    reward_scale: float = 1.0
    """factor on the rewards that the value network sees"""
    popart: float = 0.0
    """step of the running statistics that normalise the value network's targets, per rollout; 0 for none"""


def trpo(config: TRPOConfig, spec: Spec) -> OnPolicyAgent:
    """Gaussian policy x trust region x rewards."""
    policy = gaussian(spec, config.hidden, init_log_std=config.init_log_std)
    return compose(
        policy=policy,
        objective=trust_region(
            policy, config.max_kl, config.damping, config.cg_iterations, config.backtracks, config.shrink
        ),
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

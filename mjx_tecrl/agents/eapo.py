"""EAPO: PPO with the advantage of the future entropy beside that of the rewards (arXiv 2407.18143).

Both value networks are normalised by PopArt. That the entropy's discount and lambda are those of the rewards, and the step
of PopArt's statistics, once per rollout, are this project's choices.
"""

import dataclasses

from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.objectives import clipped
from mjx_tecrl.on_policy import RolloutSchedule, clipped_adam, compose, entropy_stream, reward_stream
from mjx_tecrl.policies import gaussian
from mjx_tecrl.types import Spec
from mjx_tecrl.values import value_head


@dataclasses.dataclass(frozen=True)
class EAPOConfig:
    """PPO's constants, and EAPO's."""

    hidden: tuple[int, ...] = (64, 64)
    """widths of the hidden layers of every network"""
    init_log_std: float = 0.0
    """initial log standard deviation of every action"""
    temperature: float = 0.02
    """tau_H: factor on the advantage of the entropy"""
    entropy_discount: float = 0.99
    """discount factor gamma_H of the future entropy"""
    entropy_gae_lambda: float = 0.95
    """lambda of the entropy's generalised advantage estimate"""
    policy_lr: float = 3e-4
    """Adam step size of the policy"""
    value_lr: float = 3e-4
    """Adam step size of both value networks"""
    max_grad_norm: float = 0.5
    """limit on the norm of each network's gradient"""
    clip: float = 0.2
    """how far the probability ratio may move from 1"""
    discount: float = 0.99
    """discount factor gamma of the rewards"""
    gae_lambda: float = 0.95
    """lambda of the rewards' generalised advantage estimate"""
    rollout_steps: int = 100
    """steps of every world per rollout; with the paper's 20 worlds 2000 transitions"""
    epochs: int = 10
    """passes over a rollout"""
    minibatches: int = 20
    """gradient steps per pass; must divide the transitions of a rollout"""
    reward_scale: float = 1.0
    """factor on the rewards, which sets their weight against the entropy"""
    popart: float = 0.1
    """step of the running statistics that normalise the value networks' targets, per rollout"""


def eapo(config: EAPOConfig, spec: Spec) -> OnPolicyAgent:
    """Gaussian policy x clipped surrogate x rewards and entropies."""
    policy = gaussian(spec, config.hidden, init_log_std=config.init_log_std)
    head = value_head(spec, config.hidden, popart=config.popart)
    value_optimizer = clipped_adam(config.value_lr, config.max_grad_norm)
    return compose(
        policy=policy,
        objective=clipped(policy, clipped_adam(config.policy_lr, config.max_grad_norm), config.clip),
        streams=(
            reward_stream(head, value_optimizer, config.discount, config.gae_lambda, config.reward_scale),
            entropy_stream(head, value_optimizer, config.entropy_discount, config.entropy_gae_lambda, config.temperature),
        ),
        schedule=RolloutSchedule(config.rollout_steps, config.epochs, config.minibatches),
    )

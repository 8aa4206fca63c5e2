"""PPO: proximal policy optimisation (arXiv 1707.06347).

Networks, step size, clip, GAE and the size of a rollout are those of the baseline in TECRL (arXiv 2511.11592). Adam's eps,
the limit on the gradient's norm and minibatches of about 100 are customary. Policy and value have networks and optimisers of
their own, so that there is no coefficient between their losses.
"""

import dataclasses

from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.objectives import clipped
from mjx_tecrl.on_policy import RolloutSchedule, clipped_adam, compose, reward_stream
from mjx_tecrl.policies import gaussian
from mjx_tecrl.types import Spec
from mjx_tecrl.values import value_head


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """The customary constants."""

    hidden: tuple[int, ...] = (64, 64)
    """widths of the hidden layers of every network"""
    init_log_std: float = 0.0
    """initial log standard deviation of every action"""
    policy_lr: float = 3e-4
    """Adam step size of the policy"""
    value_lr: float = 3e-4
    """Adam step size of the value network"""
    max_grad_norm: float = 0.5
    """limit on the norm of each network's gradient"""
    clip: float = 0.2
    """how far the probability ratio may move from 1"""
    entropy_bonus: float = 0.0
    """factor on the policy's entropy in its objective"""
    discount: float = 0.99
    """discount factor gamma"""
    gae_lambda: float = 0.95
    """lambda of the generalised advantage estimate"""
    rollout_steps: int = 100
    """steps of every world per rollout; with the paper's 20 worlds 2000 transitions"""
    epochs: int = 10
    """passes over a rollout"""
    minibatches: int = 20
    """gradient steps per pass; must divide the transitions of a rollout"""
    reward_scale: float = 1.0
    """factor on the rewards that the value network sees"""
    popart: float = 0.0
    """step of the running statistics that normalise the value network's targets, per rollout; 0 for none"""


def ppo(config: PPOConfig, spec: Spec) -> OnPolicyAgent:
    """Gaussian policy x clipped surrogate x rewards."""
    policy = gaussian(spec, config.hidden, init_log_std=config.init_log_std)
    return compose(
        policy=policy,
        objective=clipped(policy, clipped_adam(config.policy_lr, config.max_grad_norm), config.clip, config.entropy_bonus),
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

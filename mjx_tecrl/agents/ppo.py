"""PPO: proximal policy optimisation (arXiv 1707.06347), with the constants of the baseline in TECRL (arXiv 2511.11592)."""

import dataclasses

from mjx_tecrl.agent import OnPolicyAgent
from mjx_tecrl.agents.families import ClippedConfig
from mjx_tecrl.networks import mlp
from mjx_tecrl.on_policy import compose
from mjx_tecrl.policies import gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class PPOConfig(ClippedConfig):
    """Adam's eps, the limit on the gradient's norm and minibatches of about 100 rows are customary."""

    init_log_std: float = 0.0
    """initial log standard deviation of every action"""
    entropy_bonus: float = 0.0
    """factor on the policy's entropy in its objective"""


def ppo(config: PPOConfig, spec: Spec) -> OnPolicyAgent:
    """Gaussian policy x clipped surrogate x rewards."""
    policy = gaussian(spec, mlp(config.hidden, "tanh", output_std=0.01), config.init_log_std)
    return compose(
        policy=policy,
        objective=config.objective(policy, config.entropy_bonus),
        streams=(config.rewards(spec),),
        schedule=config.schedule(),
    )

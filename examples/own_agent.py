"""An agent of one's own: TD3 whose critics learn distributions, and whose noise differs from world to world.

Train it with ``mjx-tecrl train --env hopper --agent examples/own_agent.py:distributional_td3``.
"""

import dataclasses

import optax

from mjx_tecrl import Agent, Spec
from mjx_tecrl.agents import NamedAgent
from mjx_tecrl.critics import gaussian_critic
from mjx_tecrl.entropy import no_entropy
from mjx_tecrl.exploration import per_world_noise
from mjx_tecrl.networks import mlp
from mjx_tecrl.off_policy import NOT_LEARNED, Learned, Schedule, compose
from mjx_tecrl.policies import deterministic


@dataclasses.dataclass(frozen=True)
class DistributionalTD3Config:
    """Constants: each becomes a flag, such as ``--agent.noise-range``."""

    hidden: tuple[int, ...] = (128, 128)
    """widths of the hidden layers of every network"""
    lr: float = 3e-4
    """Adam step size of everything"""
    discount: float = 0.99
    """discount factor gamma"""
    noise_range: tuple[float, float] = (0.01, 0.3)
    """range of the exploration noise's standard deviation, drawn per world and episode (normalised action units)"""


def make(config: DistributionalTD3Config, spec: Spec) -> Agent:
    """Deterministic policy x Gaussian critics x no entropy x noise per world."""
    adam = optax.adam(config.lr)
    return compose(
        policy=deterministic(spec, mlp(config.hidden)),
        critic=gaussian_critic(spec, mlp(config.hidden), tau_b=0.02),
        entropy=no_entropy(),
        exploration=per_world_noise(*config.noise_range),
        schedule=Schedule(
            tau=0.02,
            delay=2,
            target_policy=True,
            discount=config.discount,
            n_step=1,
            reward_scale=0.1,
            smoothing=(0.2, 0.5),
        ),
        optimizers=Learned(policy=adam, critic=adam, entropy_critic=NOT_LEARNED, temperature=NOT_LEARNED),
    )


distributional_td3 = NamedAgent(DistributionalTD3Config, make)

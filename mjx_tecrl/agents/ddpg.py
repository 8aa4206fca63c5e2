"""DDPG: deep deterministic policy gradient (arXiv 1509.02971), with TECRL's networks and step sizes."""

import dataclasses

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import BaselineConfig
from mjx_tecrl.critics import scalar_critic
from mjx_tecrl.entropy import no_entropy
from mjx_tecrl.exploration import gaussian_noise
from mjx_tecrl.off_policy import compose
from mjx_tecrl.policies import deterministic
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class DDPGConfig(BaselineConfig):
    """The constants of TECRL's baseline. The noise is Gaussian, as with TD3's authors; the paper's is correlated."""

    delay: int = 1
    """updates per update of policy and averages"""
    noise: float = 0.1
    """standard deviation of the exploration noise (normalised action units)"""


def ddpg(config: DDPGConfig, spec: Spec) -> Agent:
    """Deterministic policy x one scalar critic x no entropy term x Gaussian noise."""
    return compose(
        policy=deterministic(spec, config.perceptron()),
        critic=scalar_critic(spec, config.perceptron(), members=1),
        entropy=no_entropy(),
        exploration=gaussian_noise(config.noise),
        schedule=config.schedule(target_policy=True),
        optimizers=config.optimizers(),
    )

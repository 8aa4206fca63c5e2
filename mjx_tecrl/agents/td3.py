"""TD3: twin delayed deep deterministic policy gradient (arXiv 1802.09477), with TECRL's networks and step sizes."""

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
class TD3Config(BaselineConfig):
    """The constants of TECRL's baseline, and TD3's noises."""

    critics: int = 2
    """number of critics"""
    noise: float = 0.1
    """standard deviation of the exploration noise (normalised action units)"""
    smoothing: tuple[float, float] = (0.2, 0.5)
    """standard deviation and clip bound of the noise on the next action in the critics' targets"""


def td3(config: TD3Config, spec: Spec) -> Agent:
    """Deterministic policy x scalar critics x no entropy term x Gaussian noise, with smoothing and delay."""
    return compose(
        policy=deterministic(spec, config.perceptron()),
        critic=scalar_critic(spec, config.perceptron(), members=config.critics),
        entropy=no_entropy(),
        exploration=gaussian_noise(config.noise),
        schedule=config.schedule(target_policy=True, smoothing=config.smoothing),
        optimizers=config.optimizers(),
    )

"""DSAC: distributional soft actor-critic, the first version (arXiv 2001.02811)."""

import dataclasses

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import TemperatureConfig
from mjx_tecrl.critics import gaussian_critic
from mjx_tecrl.entropy import entropy_in_value, step_target
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.off_policy import compose
from mjx_tecrl.policies import tanh_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class DSACConfig(TemperatureConfig):
    """The paper's constants."""

    zeta: float = 3.0
    """clip bound of the sampled target, in average spreads of the batch"""


def dsac(config: DSACConfig, spec: Spec) -> Agent:
    """Tanh-Gaussian policy x one unrefined Gaussian critic x entropy inside the value."""
    return compose(
        policy=tanh_gaussian(spec, config.perceptron()),
        critic=gaussian_critic(spec, config.perceptron(), members=1, tau_b=1.0, zeta=config.zeta, refined=False),
        entropy=entropy_in_value(step_target(spec, config.rho, config.init_log_alpha)),
        exploration=no_exploration(),
        schedule=config.schedule(target_policy=True),
        optimizers=config.optimizers(config.alpha_lr),
    )

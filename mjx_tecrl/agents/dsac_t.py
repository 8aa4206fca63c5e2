"""DSAC-T: distributional soft actor-critic with three refinements (arXiv 2310.05858)."""

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
class DSACTConfig(TemperatureConfig):
    """The paper's constants."""

    critics: int = 2
    """number of critics"""
    zeta: float = 3.0
    """clip bound of the sampled target, in average spreads"""


def dsac_t(config: DSACTConfig, spec: Spec) -> Agent:
    """Tanh-Gaussian policy x Gaussian critics x entropy inside the value."""
    return compose(
        policy=tanh_gaussian(spec, config.perceptron()),
        critic=gaussian_critic(spec, config.perceptron(), members=config.critics, tau_b=config.tau, zeta=config.zeta),
        entropy=entropy_in_value(step_target(spec, config.rho, config.init_log_alpha)),
        exploration=no_exploration(),
        schedule=config.schedule(target_policy=True),
        optimizers=config.optimizers(config.alpha_lr),
    )

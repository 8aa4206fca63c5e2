"""SAC: soft actor-critic with a learned temperature (arXiv 1812.05905), with TECRL's networks and step sizes."""

import dataclasses

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import TemperatureConfig
from mjx_tecrl.critics import scalar_critic
from mjx_tecrl.entropy import entropy_in_value, step_target
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.off_policy import compose
from mjx_tecrl.policies import tanh_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class SACConfig(TemperatureConfig):
    """The constants of TECRL's baseline."""

    critics: int = 2
    """number of critics"""
    delay: int = 1
    """updates per update of policy, temperature and averages"""


def sac(config: SACConfig, spec: Spec) -> Agent:
    """Tanh-Gaussian policy x scalar critics x entropy inside the value."""
    return compose(
        policy=tanh_gaussian(spec, config.perceptron()),
        critic=scalar_critic(spec, config.perceptron(), members=config.critics),
        entropy=entropy_in_value(step_target(spec, config.rho, config.init_log_alpha)),
        exploration=no_exploration(),
        schedule=config.schedule(target_policy=False),
        optimizers=config.optimizers(config.alpha_lr),
    )

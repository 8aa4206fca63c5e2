"""FastTD3: TD3 with categorical critics and noise that differs from world to world (arXiv 2505.22642)."""

import dataclasses

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import ParallelConfig
from mjx_tecrl.critics import categorical_critic
from mjx_tecrl.entropy import no_entropy
from mjx_tecrl.exploration import per_world_noise
from mjx_tecrl.networks import mlp
from mjx_tecrl.off_policy import compose
from mjx_tecrl.policies import deterministic
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class FastTD3Config(ParallelConfig):
    """The paper's constants."""

    noise_range: tuple[float, float] = (0.001, 0.4)
    """range of the per-world exploration noise (normalised action units)"""
    smoothing: tuple[float, float] = (0.001, 0.5)
    """standard deviation and clip bound of the noise on the next action in the critics' targets"""


def fast_td3(config: FastTD3Config, spec: Spec) -> Agent:
    """Deterministic policy x categorical critics x no entropy term x per-world noise, with smoothing and delay."""
    return compose(
        policy=deterministic(spec, mlp(config.policy_hidden, "relu", output_std=0.01)),
        critic=categorical_critic(
            spec, mlp(config.critic_hidden, "relu"), config.critics, config.num_atoms, config.value_range
        ),
        entropy=no_entropy(),
        exploration=per_world_noise(*config.noise_range),
        schedule=config.schedule(target_policy=False, smoothing=config.smoothing),
        optimizers=config.optimizers(),
    )

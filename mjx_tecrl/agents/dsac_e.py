"""DSAC-E: DSAC-T under TECRL's trajectory entropy constraint (arXiv 2511.11592), the default agent.

Its paper's ablations, and other heads and critics, are choices of `DSACEConfig`.
"""

import dataclasses
from typing import Literal

import optax

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents.families import TemperatureConfig
from mjx_tecrl.critics import Critic, categorical_critic, gaussian_critic, scalar_critic
from mjx_tecrl.entropy import (
    EntropyRule,
    Temperature,
    adaptive_budget,
    entropy_in_value,
    fixed_temperature,
    separated_entropy,
    step_target,
    trajectory_budget,
)
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.networks import Architecture, residual
from mjx_tecrl.off_policy import Learned, compose
from mjx_tecrl.policies import Policy, era_gaussian, tanh_gaussian
from mjx_tecrl.types import Spec


@dataclasses.dataclass(frozen=True)
class DSACEConfig(TemperatureConfig):
    """The paper's constants."""

    rho: float = 1.0
    """entropy budget in units of -action_size / (1 - discount); the paper has 20 on humanoid and walker2d"""
    entropy: Literal["trajectory", "unguided", "separated", "in_value", "fixed"] = "trajectory"
    """trajectory: TECRL's constraint. Its ablations: unguided (no entropy critic in the policy's loss), separated (the
    temperature follows the current step's entropy), in_value (that, and entropy inside the action value: DSAC-T with this
    rho), fixed (entropy inside the action value at the initial temperature)"""
    rho_price: float = 0.0
    """adapt the budget: rho rises while its worth, alpha action_size / (1 - discount), is more than this share of the action
    value, and falls while it is less; 0 keeps rho"""
    rho_lr: float = 1e-4
    """Adam step size of an adapted rho; slower than the temperature's, or the two swing around each other"""
    entropy_critic_lr: float = 1e-4
    """Adam step size of the entropy critic"""
    entropy_critics: int = 1
    """number of entropy critics; the smallest of their values counts"""
    normalized_entropy_critic: bool = False
    """learn (1 - discount) Q_e instead of Q_e"""
    terminal_entropy: bool = False
    """count the entropy of a terminal state's own action"""
    target_policy: bool = True
    """take the next action from an averaged policy"""
    network: Literal["mlp", "residual"] = "mlp"
    """every network: mlp, or residual (FlashSAC's, with batch normalisation and weights on spheres)"""
    blocks: int = 2
    """residual: number of blocks"""
    width: int = 128
    """residual: width of each network; four times that in the middle of a block"""
    policy: Literal["tanh_gaussian", "era_gaussian"] = "tanh_gaussian"
    """policy head"""
    entropy_per_dim: float = 0.25
    """era_gaussian: entropy floor of the underlying Gaussian, nats per action dimension"""
    critic: Literal["gaussian", "categorical", "scalar"] = "gaussian"
    """kind of the reward critics"""
    critics: int = 2
    """number of reward critics"""
    zeta: float = 3.0
    """gaussian: clip bound of the sampled target, in average spreads"""
    num_atoms: int = 101
    """categorical: atoms of the value distribution"""
    value_range: tuple[float, float] = (-250.0, 250.0)
    """categorical: smallest and largest value (of scaled rewards)"""


def dsac_e(config: DSACEConfig, spec: Spec) -> Agent:
    """Multilayer perceptrons x tanh-Gaussian policy x Gaussian critics x trajectory constraint."""
    return compose(
        policy=_policy(config, spec),
        critic=_critic(config, spec),
        entropy=_entropy(config, spec),
        exploration=no_exploration(),
        schedule=config.schedule(target_policy=config.target_policy),
        optimizers=_optimizers(config),
    )


def _optimizers(config: DSACEConfig) -> Learned:
    optimizers = config.optimizers(config.alpha_lr, config.entropy_critic_lr)
    if not config.rho_price:
        return optimizers
    each = {"log_alpha": optax.adam(config.alpha_lr), "rho": optax.adam(config.rho_lr)}
    return dataclasses.replace(optimizers, temperature=optax.multi_transform(each, {name: name for name in each}))


def _network(config: DSACEConfig) -> Architecture:
    return residual(config.blocks, config.width) if config.network == "residual" else config.perceptron()


def _policy(config: DSACEConfig, spec: Spec) -> Policy:
    if config.policy == "era_gaussian":
        return era_gaussian(spec, _network(config), config.entropy_per_dim)
    return tanh_gaussian(spec, _network(config))


def _critic(config: DSACEConfig, spec: Spec) -> Critic:
    if config.critic == "categorical":
        return categorical_critic(spec, _network(config), config.critics, config.num_atoms, config.value_range)
    if config.critic == "scalar":
        return scalar_critic(spec, _network(config), config.critics)
    return gaussian_critic(spec, _network(config), config.critics, config.tau, config.zeta)


def _entropy(config: DSACEConfig, spec: Spec) -> EntropyRule:
    budgeted = config.entropy in ("trajectory", "unguided")
    if config.rho_price and not budgeted:
        raise ValueError(f"rho_price adapts the trajectory's budget, which entropy {config.entropy!r} does not have")
    if config.entropy == "fixed":
        if config.rho != DSACEConfig.rho:
            raise ValueError(f"rho has no effect on a fixed temperature: leave it at {DSACEConfig.rho}, not {config.rho}")
        return entropy_in_value(fixed_temperature(config.init_log_alpha))
    local = step_target(spec, config.rho, config.init_log_alpha)
    if config.entropy == "in_value":
        return entropy_in_value(local)
    return separated_entropy(
        spec,
        _network(config),
        _budget(config, spec) if budgeted else local,
        discount=config.discount,
        members=config.entropy_critics,
        normalized=config.normalized_entropy_critic,
        terminal_entropy=config.terminal_entropy,
        guides_policy=config.entropy != "unguided",
    )


def _budget(config: DSACEConfig, spec: Spec) -> Temperature:
    if config.rho_price:
        return adaptive_budget(spec, config.rho, config.rho_price, config.discount, config.init_log_alpha)
    return trajectory_budget(spec, config.rho, config.discount, config.init_log_alpha)

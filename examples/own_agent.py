"""An agent of one's own: DSAC-E whose policy head is ERA's, so that both ideas about entropy act at once.

Run it with ``python examples/own_agent.py --env hopper``; every flag of ``train.run`` works.
"""

import dataclasses
import sys

import optax

from mjx_tecrl import AGENTS, Agent, Spec
from mjx_tecrl.agents import NamedAgent
from mjx_tecrl.critics import gaussian_critic
from mjx_tecrl.entropy import separated_entropy, trajectory_budget
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.off_policy import Learned, Schedule, compose
from mjx_tecrl.policies import era_gaussian
from train.run import main


@dataclasses.dataclass(frozen=True)
class DSACEERAConfig:
    """Constants: each becomes a flag, such as ``--agent.entropy-per-dim``."""

    hidden: tuple[int, ...] = (128, 128)
    """widths of the hidden layers of every network"""
    lr: float = 3e-4
    """Adam step size of everything"""
    entropy_per_dim: float = -0.5
    """entropy floor of the underlying Gaussian, nats per action dimension"""
    rho: float = 1.0
    """entropy budget in units of -action_size / (1 - discount)"""
    discount: float = 0.99
    """discount factor gamma"""


def dsac_e_era(config: DSACEERAConfig, spec: Spec) -> Agent:
    """ERA truncated Gaussian x Gaussian critics x trajectory constraint."""
    adam = optax.adam(config.lr)
    budget = trajectory_budget(spec, config.rho, config.discount, init_log_alpha=-3.0)
    return compose(
        policy=era_gaussian(spec, config.hidden, "gelu", entropy_per_dim=config.entropy_per_dim),
        critic=gaussian_critic(spec, config.hidden, tau_b=0.02),
        entropy=separated_entropy(spec, config.hidden, budget, discount=config.discount),
        exploration=no_exploration(),
        schedule=Schedule(tau=0.02, delay=1, target_policy=True, discount=config.discount, n_step=1, reward_scale=0.1),
        optimizers=Learned(policy=adam, critic=adam, entropy_critic=adam, temperature=adam),
    )


AGENTS["dsac_e_era"] = NamedAgent(DSACEERAConfig, dsac_e_era)

if __name__ == "__main__":
    sys.exit(main(["--agent", "dsac_e_era", *sys.argv[1:]]))

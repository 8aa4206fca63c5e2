"""What the agents of one paper have in common: constants, schedule and optimisers."""

import dataclasses
from typing import Any

import optax

from mjx_tecrl.off_policy import Learned, Schedule


@dataclasses.dataclass(frozen=True)
class BaselineConfig:
    """Constants that all off-policy agents of TECRL's comparison share (arXiv 2511.11592)."""

    hidden: tuple[int, ...] = (256, 256, 256)
    """widths of the hidden layers of every network"""
    critic_lr: float = 1e-4
    """Adam step size of the critics"""
    policy_lr: float = 1e-4
    """Adam step size of the policy"""
    discount: float = 0.99
    """discount factor gamma"""
    tau: float = 0.005
    """step of the Polyak averages"""
    delay: int = 2
    """updates per update of policy, temperature and averages"""
    n_step: int = 1
    """rewards summed per transition"""
    reward_scale: float = 0.1
    """factor on the rewards that the critics see"""

    def schedule(self, **pieces: Any) -> Schedule:
        """The schedule; ``pieces`` are those of its fields that differ from agent to agent."""
        return _schedule(self, **pieces)

    def optimizers(self, alpha_lr: float | None = None, entropy_critic_lr: float | None = None) -> Learned:
        """Adam for everything that has a step size."""
        rates = {
            "policy": self.policy_lr,
            "critic": self.critic_lr,
            "entropy_critic": entropy_critic_lr,
            "log_alpha": alpha_lr,
        }
        return Learned(**{slot: optax.identity() if lr is None else optax.adam(lr) for slot, lr in rates.items()})


@dataclasses.dataclass(frozen=True)
class TemperatureConfig(BaselineConfig):
    """What the agents with a temperature have in addition."""

    alpha_lr: float = 3e-4
    """Adam step size of the log temperature"""
    init_log_alpha: float = 1.0
    """initial log temperature"""
    rho: float = 1.0
    """target entropy in units of -action_size"""


@dataclasses.dataclass(frozen=True)
class ParallelConfig:
    """Constants that FastTD3 (arXiv 2505.22642) and its descendants share."""

    policy_hidden: tuple[int, ...] = (512, 256, 128)
    """widths of the policy's hidden layers"""
    critic_hidden: tuple[int, ...] = (1024, 512, 256)
    """widths of each critic's hidden layers"""
    critics: int = 2
    """number of critics"""
    num_atoms: int = 101
    """atoms of the value distribution"""
    value_range: tuple[float, float] = (-250.0, 250.0)
    """smallest and largest value (of scaled rewards)"""
    critic_lr: float = 3e-4
    """AdamW step size of the critics"""
    policy_lr: float = 3e-4
    """AdamW step size of the policy"""
    weight_decay: float = 0.1
    """AdamW weight decay"""
    discount: float = 0.99
    """discount factor gamma"""
    tau: float = 0.1
    """step of the Polyak averages"""
    delay: int = 2
    """updates per update of policy, temperature and averages"""
    n_step: int = 1
    """rewards summed per transition"""
    reward_scale: float = 1.0
    """factor on the rewards that the critics see"""

    def schedule(self, **pieces: Any) -> Schedule:
        """The schedule; ``pieces`` are those of its fields that differ from agent to agent."""
        return _schedule(self, **pieces)

    def optimizers(self, alpha_lr: float | None = None, beta2: float = 0.999) -> Learned:
        """AdamW for policy and critics, Adam for the temperature where it has a step size."""

        def adamw(lr: float) -> optax.GradientTransformation:
            return optax.adamw(lr, b2=beta2, weight_decay=self.weight_decay)

        return Learned(
            policy=adamw(self.policy_lr),
            critic=adamw(self.critic_lr),
            entropy_critic=optax.identity(),
            log_alpha=optax.identity() if alpha_lr is None else optax.adam(alpha_lr, b2=beta2),
        )


def _schedule(config: BaselineConfig | ParallelConfig, **pieces: Any) -> Schedule:
    constants = {name: getattr(config, name) for name in ("tau", "delay", "discount", "n_step", "reward_scale")}
    return Schedule(**constants | pieces)

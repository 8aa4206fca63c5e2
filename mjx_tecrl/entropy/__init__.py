"""Entropy rules, and what their temperature follows."""

from mjx_tecrl.entropy.base import EntropyRule
from mjx_tecrl.entropy.in_value import entropy_in_value
from mjx_tecrl.entropy.none import no_entropy
from mjx_tecrl.entropy.separated import separated_entropy
from mjx_tecrl.entropy.temperature import Temperature, adaptive_budget, fixed_temperature, step_target, trajectory_budget

__all__ = [
    "EntropyRule",
    "Temperature",
    "adaptive_budget",
    "entropy_in_value",
    "fixed_temperature",
    "no_entropy",
    "separated_entropy",
    "step_target",
    "trajectory_budget",
]

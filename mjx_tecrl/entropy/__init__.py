"""Entropy rules."""

from mjx_tecrl.entropy.base import EntropyRule
from mjx_tecrl.entropy.none import no_entropy
from mjx_tecrl.entropy.trajectory import trajectory_entropy

__all__ = ["EntropyRule", "no_entropy", "trajectory_entropy"]

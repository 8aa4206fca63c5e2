"""Policy heads."""

from mjx_tecrl.policies.base import Policy, Sample
from mjx_tecrl.policies.deterministic import deterministic
from mjx_tecrl.policies.era_gaussian import era_gaussian
from mjx_tecrl.policies.tanh_gaussian import tanh_gaussian

__all__ = ["Policy", "Sample", "deterministic", "era_gaussian", "tanh_gaussian"]

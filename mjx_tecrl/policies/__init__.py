"""Policy heads."""

from mjx_tecrl.policies.base import Evaluation, Policy, Sample
from mjx_tecrl.policies.deterministic import deterministic
from mjx_tecrl.policies.era_gaussian import era_gaussian
from mjx_tecrl.policies.gaussian import gaussian
from mjx_tecrl.policies.residual_tanh_gaussian import residual_tanh_gaussian
from mjx_tecrl.policies.tanh_gaussian import tanh_gaussian

__all__ = [
    "Evaluation",
    "Policy",
    "Sample",
    "deterministic",
    "era_gaussian",
    "gaussian",
    "residual_tanh_gaussian",
    "tanh_gaussian",
]

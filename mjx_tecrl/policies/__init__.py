"""Policy heads."""

from mjx_tecrl.policies.base import ActionSample, Evaluation, Head, Policy, make_policy
from mjx_tecrl.policies.deterministic import deterministic
from mjx_tecrl.policies.era_gaussian import era_gaussian
from mjx_tecrl.policies.gaussian import gaussian
from mjx_tecrl.policies.tanh_gaussian import tanh_gaussian

__all__ = [
    "ActionSample",
    "Evaluation",
    "Head",
    "Policy",
    "deterministic",
    "era_gaussian",
    "gaussian",
    "make_policy",
    "tanh_gaussian",
]

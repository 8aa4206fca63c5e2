"""How an on-policy agent improves its policy."""

from mjx_tecrl.objectives.base import Objective
from mjx_tecrl.objectives.clipped import clipped
from mjx_tecrl.objectives.trust_region import trust_region

__all__ = ["Objective", "clipped", "trust_region"]

"""Critics."""

from mjx_tecrl.critics.base import Critic
from mjx_tecrl.critics.categorical import categorical_critic
from mjx_tecrl.critics.ensemble import ActionNetwork, action_network
from mjx_tecrl.critics.gaussian import gaussian_critic
from mjx_tecrl.critics.scalar import scalar_critic

__all__ = ["ActionNetwork", "Critic", "action_network", "categorical_critic", "gaussian_critic", "scalar_critic"]

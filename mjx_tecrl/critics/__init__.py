"""Critics."""

from mjx_tecrl.critics.base import Critic
from mjx_tecrl.critics.categorical import categorical_critic
from mjx_tecrl.critics.cross_batch import cross_batch_critic
from mjx_tecrl.critics.gaussian import gaussian_critic
from mjx_tecrl.critics.scalar import scalar_critic

__all__ = ["Critic", "categorical_critic", "cross_batch_critic", "gaussian_critic", "scalar_critic"]

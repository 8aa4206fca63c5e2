"""The learning library: pieces of agents, and agents composed of them. It knows no physics, files or command lines."""

from mjx_tecrl.agent import Agent
from mjx_tecrl.agents import AGENTS, named_agent
from mjx_tecrl.types import Batch, Spec

__all__ = ["AGENTS", "Agent", "Batch", "Spec", "named_agent"]

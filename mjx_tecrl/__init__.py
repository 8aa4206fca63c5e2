"""The learning library: pieces of agents, and agents composed of them. It knows no physics, no files, no command lines."""

from mjx_tecrl.agent import Agent, OnPolicyAgent
from mjx_tecrl.agents import AGENTS, named_agent
from mjx_tecrl.types import Batch, Rollout, Spec

__version__ = "0.1.0"

__all__ = ["AGENTS", "Agent", "Batch", "OnPolicyAgent", "Rollout", "Spec", "named_agent"]

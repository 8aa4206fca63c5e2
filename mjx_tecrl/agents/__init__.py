"""Named agents: each a short file of composition and constants. To add one: write its file and name it in `AGENTS`."""

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

from mjx_tecrl.agent import Agent, OnPolicyAgent
from mjx_tecrl.agents.dsac_e import DSACEConfig, dsac_e
from mjx_tecrl.agents.eapo import EAPOConfig, eapo
from mjx_tecrl.agents.fast_sac_era import FastSACERAConfig, fast_sac_era
from mjx_tecrl.agents.ppo import PPOConfig, ppo
from mjx_tecrl.agents.ppo_era import PPOERAConfig, ppo_era
from mjx_tecrl.agents.trpo import TRPOConfig, trpo
from mjx_tecrl.types import Spec

__all__ = [
    "AGENTS",
    "DSACEConfig",
    "EAPOConfig",
    "FastSACERAConfig",
    "NamedAgent",
    "PPOConfig",
    "PPOERAConfig",
    "TRPOConfig",
    "named_agent",
]


@dataclasses.dataclass(frozen=True)
class NamedAgent:
    """An agent's config class and the function ``(config, spec) -> Agent`` that builds it."""

    Config: type[Any]
    make: Callable[[Any, Spec], Agent | OnPolicyAgent]


AGENTS: dict[str, NamedAgent] = {
    "dsac_e": NamedAgent(DSACEConfig, dsac_e),
    "fast_sac_era": NamedAgent(FastSACERAConfig, fast_sac_era),
    "ppo": NamedAgent(PPOConfig, ppo),
    "ppo_era": NamedAgent(PPOERAConfig, ppo_era),
    "trpo": NamedAgent(TRPOConfig, trpo),
    "eapo": NamedAgent(EAPOConfig, eapo),
}
"""Every agent by its name on the command line."""


def named_agent(name: str) -> NamedAgent:
    """The agent registered under ``name``.

    Raises:
      ValueError: no such agent; the message offers the nearest names.
    """
    if name not in AGENTS:
        near = difflib.get_close_matches(name, AGENTS, n=3, cutoff=0.4) or sorted(AGENTS)
        raise ValueError(f"unknown agent {name!r}; did you mean {', '.join(near)}?")
    return AGENTS[name]

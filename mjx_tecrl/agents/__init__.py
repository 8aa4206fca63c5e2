"""Named agents: each is a short file with a composition and its constants. A new one is listed in `AGENTS`."""

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

from mjx_tecrl.agent import Agent, OnPolicyAgent
from mjx_tecrl.agents.ddpg import DDPGConfig, ddpg
from mjx_tecrl.agents.dsac import DSACConfig, dsac
from mjx_tecrl.agents.dsac_e import DSACEConfig, dsac_e
from mjx_tecrl.agents.dsac_t import DSACTConfig, dsac_t
from mjx_tecrl.agents.eapo import EAPOConfig, eapo
from mjx_tecrl.agents.fast_sac import FastSACConfig, fast_sac
from mjx_tecrl.agents.fast_sac_era import FastSACERAConfig, fast_sac_era
from mjx_tecrl.agents.fast_td3 import FastTD3Config, fast_td3
from mjx_tecrl.agents.flash_sac import FlashSACConfig, flash_sac
from mjx_tecrl.agents.ppo import PPOConfig, ppo
from mjx_tecrl.agents.ppo_era import PPOERAConfig, ppo_era
from mjx_tecrl.agents.sac import SACConfig, sac
from mjx_tecrl.agents.sac_era import SACERAConfig, sac_era
from mjx_tecrl.agents.td3 import TD3Config, td3
from mjx_tecrl.agents.trpo import TRPOConfig, trpo
from mjx_tecrl.types import Spec

__all__ = ["AGENTS", "NamedAgent", "named_agent"]


@dataclasses.dataclass(frozen=True)
class NamedAgent:
    """An agent's config class and the function ``(config, spec) -> Agent`` that builds it."""

    Config: type[Any]
    make: Callable[[Any, Spec], Agent | OnPolicyAgent]


AGENTS: dict[str, NamedAgent] = {
    "dsac_e": NamedAgent(DSACEConfig, dsac_e),
    "dsac_t": NamedAgent(DSACTConfig, dsac_t),
    "dsac": NamedAgent(DSACConfig, dsac),
    "sac": NamedAgent(SACConfig, sac),
    "sac_era": NamedAgent(SACERAConfig, sac_era),
    "td3": NamedAgent(TD3Config, td3),
    "ddpg": NamedAgent(DDPGConfig, ddpg),
    "fast_td3": NamedAgent(FastTD3Config, fast_td3),
    "fast_sac": NamedAgent(FastSACConfig, fast_sac),
    "fast_sac_era": NamedAgent(FastSACERAConfig, fast_sac_era),
    "flash_sac": NamedAgent(FlashSACConfig, flash_sac),
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

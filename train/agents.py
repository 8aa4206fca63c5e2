"""Agents by their names on the command line, also those of one's own."""

from envs.own_code import as_own_code, load_installed
from mjx_tecrl import AGENTS, named_agent
from mjx_tecrl.agents import NamedAgent


def find_agent(name: str) -> NamedAgent:
    """The agent of that name.

    Args:
      name: a key of `AGENTS`; a `NamedAgent` in a file or module of one's own (``my_agent.py:my_agent``,
        ``my_package.agents:my_agent``), whose code is then run; or the name of an agent that an installed package brings
        (`envs.own_code`).

    Raises:
      ValueError: there is no such agent. The message offers the nearest names.
    """
    code = as_own_code(name)
    found = code.load() if code is not None else None if name in AGENTS else load_installed("agent", name)
    if found is None and code is None:
        return named_agent(name)
    if not isinstance(found, NamedAgent):
        raise ValueError(f"{name} is not an agent: an agent is a mjx_tecrl.agents.NamedAgent")
    return found

"""What follows from the length of a run and its number of worlds, where that is not the preset's own.

The number of worlds changes the speed of a run, and hardly how much it learns from its steps: gradient steps are counted per
environment step (`Config.update_schedule`). Other values have to follow.
"""

import dataclasses
import math
from typing import Any

from mjx_tecrl.agents.families import BaselineConfig, OnPolicyConfig
from mjx_tecrl.agents.flash_sac import FlashSACConfig
from train.config import Config

FIRST_STEPS = 32
"""Vector steps in the first fill of the replay. Untrained robots fall within about 20. Before any episode has ended, values
have nothing to hold on to, and the statistics of observations are those of a start."""

SHORTEST_ROLLOUT = 16
"""Vector steps that a rollout has at least, however many the worlds: with fewer, advantages look hardly ahead."""


def adapted(config: Config, own_worlds: int) -> Config:
    """A preset's config, for its present length and number of worlds.

    Args:
      config: with the length and the number of worlds that a run is to have.
      own_worlds: worlds of the preset itself.
    """
    worlds, agent = max(1, config.num_envs), config.agent_args
    values: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    many = worlds > own_worlds and config.preset != "paper"  # which keeps the paper's networks
    if many and config.learning_starts:
        values["learning_starts"] = _first_fill(config)
    if many and isinstance(agent, BaselineConfig):
        # Many gradient steps then follow one vector step, and nothing that happens corrects what they imagine meanwhile.
        # On humanoid, with 256 of them, values rose to 10,000 times what can be earned; of normalised layers they do not.
        changes["layer_norm"] = True
    if isinstance(agent, FlashSACConfig):  # lowers its step sizes over the updates of the run
        updates, every = config.update_schedule
        changes["decay_updates"] = max(1, config.total_steps // worlds // every * updates)
    if isinstance(agent, OnPolicyConfig) and worlds != own_worlds:
        changes |= _resized(agent, own_worlds, worlds)
    return dataclasses.replace(config, agent_args=dataclasses.replace(agent, **changes), **values)


def _first_fill(config: Config) -> int:
    """``learning_starts`` for more worlds: `FIRST_STEPS` of each, within a tenth of the run and half of the replay."""
    most = min(config.total_steps // 10, config.replay_size // 2)
    return max(config.learning_starts, min(FIRST_STEPS * config.num_envs, most))


def _resized(args: OnPolicyConfig, own_worlds: int, worlds: int) -> dict[str, int]:
    """Rollouts of about as many transitions in ``worlds`` worlds as in a preset's own, in minibatches of about this size.

    So the number of worlds hardly changes how many gradient steps a run makes. Where rollouts cannot be shortened any more,
    they have more transitions, and more minibatches.
    """
    rows = own_worlds * args.rollout_steps
    shortest = max(SHORTEST_ROLLOUT, rows // worlds)

    def minibatches(steps: int) -> tuple[float, int]:
        wanted = steps * worlds * args.minibatches / rows
        divisors = (n for n in range(1, math.ceil(2 * wanted) + 1) if steps * worlds % n == 0)
        return min((abs(math.log(n / wanted)), n) for n in divisors)

    # Of a few lengths the one whose transitions divide best into minibatches.
    steps = min(range(shortest, shortest + SHORTEST_ROLLOUT), key=lambda steps: minibatches(steps)[0])
    return {"rollout_steps": steps, "minibatches": minibatches(steps)[1]}

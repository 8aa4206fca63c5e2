"""What a run is going to make, and a sentence for each setting under which it cannot learn."""

import dataclasses
from collections.abc import Iterator

from mjx_tecrl import OnPolicyAgent
from train.config import Config
from train.training import Training

FEW_UPDATES = 1000
"""With fewer gradient steps than this, even a pendulum is not learned."""

FEW_ROLLOUTS = 20
"""With fewer rollouts than this, an on-policy agent has hardly seen what its updates did."""

FEW_POLICIES, BURST = 1000, 64
"""Little is learned from a step where fewer policies than the first act after one another, with more gradient steps than the
second between two of them. Humanoid with 4096 worlds has 457 policies and 256 gradient steps between them. Its return was
743 after 41,000 gradient steps, where 16 worlds had 789 after 19,000 (docs/presets.md)."""

FEW_ROWS = 10
"""A replay that holds fewer steps of each world than this forgets them before they have been learned from."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is going to make, from its beginning to its end.

    Attributes:
      config: of the run.
      training: of the run.
    """

    config: Config
    training: Training

    @property
    def iterations(self) -> int:
        """As few as make ``total_steps``."""
        return -(-self.config.total_steps // self.training.iteration_steps)

    @property
    def env_steps(self) -> int:
        """Environment steps, over all worlds: ``total_steps``, rounded up to whole iterations."""
        return self.iterations * self.training.iteration_steps

    @property
    def updates(self) -> int:
        """Gradient steps."""
        return self.training.iteration.updates(self.iterations)

    def describe(self) -> str:
        """Both numbers in one line, with the reason where there are more environment steps than were asked for."""
        asked, size, pace = self.config.total_steps, self.training.iteration_steps, self.training.iteration.pace
        why = f" (--total-steps {asked:,d}, rounded up to a multiple of {size:,d})" if self.env_steps != asked else ""
        return f"{self.env_steps:,d} environment steps{why}, {self.updates:,d} gradient steps: {pace}"

    def warnings(self) -> Iterator[str]:
        """A sentence for each setting under which the run learns nothing, or hardly anything."""
        config, more = self.config, "raise --total-steps"
        if isinstance(self.training.problem.agent, OnPolicyAgent):
            if self.iterations < FEW_ROLLOUTS:
                yield (
                    f"This run makes {self.iterations} rollouts, and hardly anything is learned from fewer than "
                    f"{FEW_ROLLOUTS}: {more}, or lower --num-envs or --agent.rollout-steps."
                )
            return
        if not self.updates:
            yield (
                f"This run ends after {self.env_steps} environment steps, before its first gradient step (--learning-starts "
                f"{config.learning_starts}): it learns nothing; {more} or lower --learning-starts."
            )
        elif self.updates < FEW_UPDATES:
            lower = "lower --steps-per-update" if config.updates_per_step is None else "raise --updates-per-step"
            yield (
                f"This run makes {self.updates} gradient steps, and hardly anything is learned in fewer than {FEW_UPDATES}: "
                f"{more} or {lower}."
            )
        burst, every = config.update_schedule
        policies = (self.env_steps // config.num_envs - config.first_fill) // every
        if burst > BURST and policies < FEW_POLICIES:
            yield (
                f"All {config.num_envs} worlds step together, so this run has {max(0, policies)} policies that act, with "
                f"{burst} gradient steps between two of them: fewer worlds learn more from a step; lower "
                f"--num-envs, or {more}."
            )
        rows = config.replay_size // config.num_envs
        if rows < min(FEW_ROWS, self.iterations):
            yield (
                f"The replay holds the last {rows} steps of each of the {config.num_envs} worlds and forgets what is older: "
                f"raise --replay-size to {FEW_ROWS * config.num_envs} or more, or lower --num-envs."
            )

"""What an iteration is to the rest of training.

The units of time, from the smallest to the largest, as all of this project uses the words:

* A *physics step* is one ``mj_step`` of one world.
* An *environment step* is one action in one world: the task's ``frame_skip`` physics steps. Lengths of runs and intervals
  are environment steps, added up over all worlds.
* A *vector step* is one environment step of every world.
* An *iteration* is the smallest piece of training. For an agent with a replay it is a vector step and the gradient steps
  after it. For an on-policy agent it is a rollout (many vector steps) and the update on it.
* A *chunk* is the iterations between two log lines. Start states are drawn afresh for each.
* An *interval* (of evaluations, of checkpoints) is a whole number of chunks.
"""

from typing import Protocol

from envs.vector import StepStats
from mjx_tecrl.normalizer import RewardScaler
from mjx_tecrl.replay import Replay
from mjx_tecrl.types import Metrics
from train.state import TrainState


class Iteration(Protocol):
    """One iteration of an agent. `OffPolicyIteration` and `OnPolicyIteration` are the two kinds."""

    @property
    def vector_steps(self) -> int:
        """Steps of all worlds in one iteration."""

    @property
    def pace(self) -> str:
        """How often there are gradient steps, in words."""

    def updates(self, iterations: int) -> int:
        """Gradient steps in the first so many iterations of a run."""
        ...

    def init_memory(self) -> tuple[Replay | tuple[()], RewardScaler | tuple[()]]:
        """What is kept from one iteration to the next, empty: the replay, and the statistics of the rewards."""
        ...

    def __call__(self, state: TrainState) -> tuple[TrainState, tuple[StepStats, Metrics]]:
        """Makes one iteration (traced, inside ``jit``).

        Returns:
          The state after it; and what to count: of its steps, and the metrics of its updates with leading axis
          ``[updates]``, NaN where one was not made.
        """
        ...

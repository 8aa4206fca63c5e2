"""The studies, as data: what is compared, on which tasks, with which seeds, and in which order."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the things that a study compares: an agent, and what differs from its preset, as flags of ``train.run``."""

    name: str
    agent: str
    flags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Study:
    """Variants that are compared on the same tasks with the same seeds.

    Attributes:
      name: of the folder that holds its results.
      question: what the comparison is to answer.
      tasks: in order of their worth; each is finished before the next begins.
      variants: in order of their worth; one seed of each of them comes before the next seed of any.
      seeds: in order.
      preset: of all runs.
      flags: of all runs.
    """

    name: str
    question: str
    tasks: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    preset: str = "quick"
    flags: tuple[str, ...] = ()

    def runs(self) -> list["Run"]:
        """All runs, the most valuable first."""
        return [Run(self, task, variant, seed) for task in self.tasks for seed in self.seeds for variant in self.variants]


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a study."""

    study: Study
    task: str
    variant: Variant
    seed: int

    @property
    def path(self) -> pathlib.Path:
        """Where it lies below the work directory and, with an ending, below the results."""
        return pathlib.Path(self.study.name) / f"{self.task.replace('/', '-')}-{self.variant.name}-seed{self.seed}"

    @property
    def flags(self) -> list[str]:
        """What ``train.run`` is told, beside the run directory."""
        chosen = ["--env", self.task, "--agent", self.variant.agent, "--preset", self.study.preset, "--seed", str(self.seed)]
        return [*chosen, *self.study.flags, *self.variant.flags]


STUDIES: tuple[Study, ...] = (
    Study(
        name="tecrl-controls",
        question=(
            "Does TECRL's trajectory constraint do anything that a fixed temperature of zero, a constraint on the entropy "
            "of the current step, or the agents with entropy inside the action value do not?"
        ),
        tasks=("humanoid", "hopper", "half_cheetah"),
        variants=(
            Variant("rho-20", "dsac_e", ("--agent.rho", "20")),  # the paper's budget on humanoid
            Variant("rho-1", "dsac_e", ("--agent.rho", "1")),
            # e^-20 is as good as zero. A fixed temperature has no budget, so that it accepts no rho but 1.
            Variant(
                "fixed-zero", "dsac_e", ("--agent.entropy", "fixed", "--agent.rho", "1", "--agent.init-log-alpha", "-20")
            ),
            # Without the trajectory constraint (TEC), the temperature follows the entropy of the current step.
            Variant("without-tec", "dsac_e", ("--agent.entropy", "separated", "--agent.rho", "20")),
            Variant("dsac_t", "dsac_t"),
            Variant("sac", "sac"),
        ),
    ),
)
"""In order of their worth."""

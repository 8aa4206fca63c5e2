"""The trials of a sweep: what a sweep is asked for, the search space, and a run for each of its points."""

import collections
import dataclasses
import itertools
import math
import pathlib
from typing import Annotated

import numpy as np
import tyro

from envs.command import UserError, check_seed
from train.checkpoints import Checkpoints
from train.config import Config
from train.logs import evaluations
from train.run import parse
from train.run_dir import seed_configs


@dataclasses.dataclass(frozen=True)
class Args:
    """Train one run for each point of a search space.

    Every flag of train.run (python -m train.run --help) except --run-dir can be given too, and holds for all runs.
    """

    sweep_dir: pathlib.Path
    """directory of the sweep; each run gets a directory in it"""
    vary: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """a flag of train.run and its values, as in --vary agent.rho 0.5 1 2; may be repeated: all combinations are trained"""
    sample: Annotated[tuple[tuple[str, str, float, float], ...], tyro.conf.UseAppendAction] = ()
    """a flag of train.run and the distribution of its values, uniform, loguniform or integers, as in
    --sample agent.rho loguniform 0.1 20; may be repeated"""
    num_samples: int = 1
    """how many values to draw for each --sample; each draw is trained with all combinations of --vary"""
    sample_seed: int = 0
    """seed of the draws"""
    preset: str = "auto"
    """as for train.run; auto means parallel if the trials have GPUs, and quick otherwise"""
    physics: str = "auto"
    """as for train.run; auto means native if the trials have no GPUs"""
    cpus: float = 1
    """CPU cores that are reserved for a run; the run is not confined to them"""
    gpus: float = 0
    """GPUs for a run, or a share of one: 0.5 lets two runs share a GPU"""
    address: str = "local"
    """Ray cluster to train on: its address, auto for the one this machine belongs to, or local for this machine alone"""
    max_failures: int = 3
    """how often a run whose process or machine died is resumed from its newest checkpoint"""
    grace_steps: int | None = None
    """environment steps after which ASHA may stop a run whose evaluations are poor; None trains all runs to the end"""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """go on with the sweep in --sweep-dir, if there is one: runs that have ended are kept, the others go on from their
    checkpoints"""


@dataclasses.dataclass
class Trial:
    """A point of the search space, and its run.

    Attributes:
      name: the values of the flags that vary. The run directory has the same name.
      config: the run's config.
      state: ``waiting``, ``running``, ``interrupted``, ``finished``, ``stopped`` (by ASHA) or ``failed``.
      env_steps: environment steps at the last evaluation.
      return_mean: the return in that evaluation, mean over episodes and seeds; None before the first one.
    """

    name: str
    config: Config
    state: str = "waiting"
    env_steps: int = 0
    return_mean: float | None = None

    @property
    def run_dir(self) -> pathlib.Path:
        """The run directory."""
        return pathlib.Path(str(self.config.run_dir))

    @property
    def seed_dirs(self) -> list[pathlib.Path]:
        """The run directories of its seeds. With one seed, that is the run directory itself."""
        return [pathlib.Path(str(one.run_dir)) for one in seed_configs(self.config, self.run_dir)]

    @property
    def output(self) -> pathlib.Path:
        """The file that holds what its process prints."""
        return self.run_dir / "output.log"

    def update_from_files(self) -> None:
        """Reads from its files how far the run is. The run has finished if there is a checkpoint of its end."""
        self.env_steps, self.return_mean = next(reversed(evaluations(self.seed_dirs).items()), (0, None))
        if all(max(Checkpoints(path).steps, default=0) >= self.config.total_steps for path in self.seed_dirs):
            self.state = "finished"


def make_trials(args: Args, of_run: list[str]) -> list[Trial]:
    """All trials, each with a checked config. JAX is not started for that.

    Args:
      args: flags of the sweep.
      of_run: flags of train.run, for all runs.

    Raises:
      UserError: the search space is impossible, or a run refuses a value; one sentence.
      SystemExit: a flag is wrong (2).
    """
    preset, physics = ("parallel", "auto") if args.gpus else ("quick", "native")
    of_all = [*of_run, "--preset", preset if args.preset == "auto" else args.preset]
    of_all += ["--physics", physics if args.physics == "auto" else args.physics]
    trials = {}
    for point in search_space(args, of_run):
        name = ",".join(f"{flag}={'_'.join(value.split()).replace('/', '-')}" for flag, value in point.items())
        if name in trials:
            raise UserError(f"{name} is there twice: give --vary different values.")
        flags = [arg for flag, value in point.items() for arg in _flags(flag, value)]
        _, config = parse([*of_all, *flags, "--run-dir", str(args.sweep_dir / name)])
        trials[name] = Trial(name, config.validate().located())
    return list(trials.values())


def search_space(args: Args, of_run: list[str]) -> list[dict[str, str]]:
    """The points of the search space: each maps flags of train.run, without leading dashes, to values.

    The same arguments always give the same points.

    Raises:
      UserError: nothing varies, a flag is given twice, or a distribution is impossible; one sentence.
    """
    names = [words[0] for words in args.vary if words] + [words[0] for words in args.sample]
    names = [name.lstrip("-").replace("_", "-") for name in names]
    given = [arg.split("=")[0].removeprefix("--").replace("_", "-") for arg in of_run if arg.startswith("--")]
    if not names:
        raise UserError("What shall vary? Give --vary, as in --vary agent.rho 0.5 1 2, or --sample.")
    for name, count in collections.Counter([*given, *names]).items():
        if name in names and count > 1:
            raise UserError(f"--{name} is there twice: it either varies, once, or is the same for all runs.")
    if "run-dir" in given + names:
        raise UserError("--run-dir is not for sweeps, which name the directories of their runs: give --sweep-dir.")
    for words in args.vary:
        if len(words) < 2:
            raise UserError(f"--vary {' '.join(words)} needs a flag of train.run and its values.")
    if args.num_samples < 1:
        raise UserError(f"--num-samples must be at least 1, not {args.num_samples}.")
    if args.num_samples > 1 and not args.sample:
        raise UserError("--num-samples needs a --sample to draw from.")
    for name in ("cpus", "gpus"):
        if (value := getattr(args, name)) < 0 or (value > 1 and value % 1):
            raise UserError(f"--{name} must be a share of one or a whole number, not {value:g}.")
    if args.grace_steps is not None and args.grace_steps < 1:
        raise UserError(f"--grace-steps must be at least 1, not {args.grace_steps}.")
    check_seed(args.sample_seed, "--sample-seed")
    rng = np.random.default_rng(args.sample_seed)
    draws = [[_draw(rng, kind, low, high) for _, kind, low, high in args.sample] for _ in range(args.num_samples)]
    grid = itertools.product(*(values for _, *values in args.vary))
    return [dict(zip(names, (*cell, *draw), strict=True)) for cell, draw in itertools.product(grid, draws)]


def _draw(rng: np.random.Generator, kind: str, low: float, high: float) -> str:
    """Draws a value, to four digits, so that the names of directories remain readable."""
    if not -math.inf < low < high < math.inf or (kind == "loguniform" and low <= 0):
        raise UserError(f"--sample {kind} {low:g} {high:g} needs finite bounds, the lower first, above 0 if loguniform.")
    if kind == "integers":
        return str(rng.integers(round(low), round(high), endpoint=True))
    if kind == "loguniform":
        return f"{math.exp(rng.uniform(math.log(low), math.log(high))):.4g}"
    if kind == "uniform":
        return f"{rng.uniform(low, high):.4g}"
    raise UserError(f"unknown distribution {kind!r}; choose from: uniform, loguniform, integers.")


def _flags(name: str, value: str) -> list[str]:
    """What a user would type for a flag's value.

    A switch takes no value: its name says whether it is on. Several values stand in one word here, as in '64 64'.
    """
    if value.lower() in ("true", "false"):
        *path, last = name.split(".")
        return ["--" + ".".join([*path, last if value.lower() == "true" else f"no-{last}"])]
    return [f"--{name}", *value.split()]

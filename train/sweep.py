"""``python -m train.sweep``: trains one run for each point of a search space, through Ray Tune, on one machine or many."""

import collections
import dataclasses
import importlib.util
import itertools
import json
import math
import pathlib
import signal
import sys
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from envs.command import UserError, warn
from train.checkpoints import Checkpoints
from train.config import CONFIG_FILE, Config, load_config
from train.files import replace_file
from train.logs import evaluations
from train.run import parse
from train.run_dir import check_same_run, locked, seed_configs

SWEEP_FILE = "sweep.json"


@dataclasses.dataclass(frozen=True)
class Args:
    """Train one run for each point of a search space.

    Every flag of train.run (python -m train.run --help) but --run-dir is understood too, and holds for all runs.
    """

    sweep_dir: pathlib.Path
    """where to write: each run has its directory in there"""
    vary: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """a flag of train.run and its values, as in --vary agent.rho 0.5 1 2; of several, all combinations are trained"""
    sample: Annotated[tuple[tuple[str, str, float, float], ...], tyro.conf.UseAppendAction] = ()
    """a flag of train.run whose values are drawn from uniform, loguniform or integers, as in
    --sample agent.rho loguniform 0.1 20"""
    num_samples: int = 1
    """how many values to draw of each --sample; each draw is trained with all combinations of --vary"""
    sample_seed: int = 0
    """seed of the draws"""
    preset: str = "auto"
    """as of train.run; auto: parallel where trials have GPUs, else quick"""
    physics: str = "auto"
    """as of train.run; auto: mjx where trials have GPUs, else native"""
    cpus: float = 1
    """CPU cores that a run is counted with; it is not confined to them"""
    gpus: float = 0
    """GPUs of a run, or the share of one: 0.5 lets two runs share it"""
    address: str = "local"
    """Ray cluster to train on: its address, auto for the one this machine belongs to, or local for this machine alone"""
    max_failures: int = 3
    """how often a run whose process or machine dies is taken up again from its newest checkpoint"""
    grace_steps: int | None = None
    """environment steps after which ASHA may stop a run whose evaluations are poor; None: all are trained to the end"""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """go on with the sweep in --sweep-dir, if there is one: what has ended is kept, the rest goes on from its checkpoints"""


@dataclasses.dataclass
class Trial:
    """A point of the search space, and the run it stands for.

    Attributes:
      name: what differs from other trials; the directory is named so too.
      config: of the run.
      state: ``waiting``, ``running``, ``interrupted``, ``finished``, ``stopped`` (by ASHA) or ``failed``.
      env_steps: of the last evaluation.
      return_mean: its return, mean over episodes and seeds; None before the first one.
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
        """Run directories of its seeds; of one seed the run directory itself."""
        return [pathlib.Path(str(one.run_dir)) for one in seed_configs(self.config, self.run_dir)]

    @property
    def output(self) -> pathlib.Path:
        """What its process prints."""
        return self.run_dir / "output.log"

    def look(self) -> None:
        """Reads how far it is; it has finished if there is a checkpoint of its end."""
        self.env_steps, self.return_mean = next(reversed(evaluations(self.seed_dirs).items()), (0, None))
        if all(max(Checkpoints(path).steps, default=0) >= self.config.total_steps for path in self.seed_dirs):
            self.state = "finished"


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 1 if a run failed, 2 after a mistake, 130 after an interruption."""
    args = sys.argv[1:] if args is None else args
    try:
        own, of_run = tyro.cli(Args, args=args, prog="python -m train.sweep", return_unknown_args=True)
        return sweep(own, of_run, Console())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def sweep(args: Args, of_run: list[str], console: Console) -> int:
    """Trains what has not ended yet, and shows all of it.

    Args:
      args: flags of the sweep.
      of_run: flags of train.run, for all runs.
      console: where to show it.

    Returns:
      The exit code, as of `main`.

    Raises:
      UserError: a run that cannot be, no Ray, or a sweep that cannot go on; one sentence. Nothing was trained.
      SystemExit: a wrong flag (2).
    """
    trials = make_trials(args, of_run)
    if (args.sweep_dir / SWEEP_FILE).exists():
        if not args.resume:
            raise UserError(f"{args.sweep_dir} holds a sweep: add --resume to go on with it, or name another --sweep-dir.")
        _take_up(trials, args)
    waiting = any(trial.state == "waiting" for trial in trials)
    if waiting and importlib.util.find_spec("ray") is None:
        raise UserError("A sweep needs Ray Tune, which is not installed: pip install '.[sweep]'.")
    with locked(args.sweep_dir):
        for trial in trials:
            with locked(trial.run_dir):  # a process of a killed sweep may still be about to end
                trial.config.save(trial.run_dir)
        if waiting:
            from train.trials import run_trials  # Ray takes seconds to load

            run_trials(trials, args, console, lambda: _save(trials, args.sweep_dir))
        for trial in trials:
            if trial.state == "running":
                trial.state = "interrupted"
            trial.look()
        _save(trials, args.sweep_dir)
    return _show(trials, console)


def make_trials(args: Args, of_run: list[str]) -> list[Trial]:
    """All trials, each with a config that was checked; JAX is not started for it.

    Raises:
      UserError: a search space that cannot be, or a value that a run refuses; one sentence.
      SystemExit: a wrong flag (2).
    """
    preset, physics = ("parallel", "mjx") if args.gpus else ("quick", "native")
    of_all = [*of_run, "--preset", preset if args.preset == "auto" else args.preset]
    of_all += ["--physics", physics if args.physics == "auto" else args.physics]
    trials = {}
    for point in search_space(args, of_run):
        name = ",".join(f"{flag}={'_'.join(value.split()).replace('/', '-')}" for flag, value in point.items())
        if name in trials:
            raise UserError(f"{name} is there twice: give --vary different values.")
        flags = [arg for flag, value in point.items() for arg in _flags(flag, value)]
        _, config = parse([*of_all, *flags, "--run-dir", str(args.sweep_dir / name)])
        trials[name] = Trial(name, config.validate())
    return list(trials.values())


def search_space(args: Args, of_run: list[str]) -> list[dict[str, str]]:
    """Its points: flags of train.run, without dashes in front, and their values. The same arguments give the same points.

    Raises:
      UserError: nothing varies, a flag is there twice, or a distribution cannot be; one sentence.
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
    rng = np.random.default_rng(args.sample_seed)
    draws = [[_draw(rng, kind, low, high) for _, kind, low, high in args.sample] for _ in range(args.num_samples)]
    grid = itertools.product(*(values for _, *values in args.vary))
    return [dict(zip(names, (*cell, *draw), strict=True)) for cell, draw in itertools.product(grid, draws)]


def _draw(rng: np.random.Generator, kind: str, low: float, high: float) -> str:
    """A value, with four digits, so that the names of directories remain readable."""
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
    """What is typed for one value: a switch takes none, and what takes several has them in one word, as in '64 64'."""
    if value.lower() in ("true", "false"):
        *path, last = name.split(".")
        return ["--" + ".".join([*path, last if value.lower() == "true" else f"no-{last}"])]
    return [f"--{name}", *value.split()]


def _take_up(trials: list[Trial], args: Args) -> None:
    """Finds out what has ended.

    Raises:
      UserError: it is another sweep; one sentence.
    """
    path = args.sweep_dir / SWEEP_FILE
    try:
        states = {str(row["name"]): str(row["state"]) for row in json.loads(path.read_bytes())["trials"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a sweep: {error!r}.") from error
    if other := sorted(states.keys() ^ {trial.name for trial in trials}):
        where = args.sweep_dir if other[0] in states else "this command"
        raise UserError(f"--resume goes on with the same search space, and {other[0]} is only in {where}.")
    for trial in trials:
        if (trial.run_dir / CONFIG_FILE).exists():
            check_same_run(trial.config, load_config(trial.run_dir))
        if states[trial.name] == "stopped" and args.grace_steps is not None:
            trial.state = "stopped"
        trial.look()


def _ranked(trials: list[Trial]) -> list[Trial]:
    """The highest return first."""
    return sorted(trials, key=lambda trial: -math.inf if trial.return_mean is None else trial.return_mean, reverse=True)


def _best(trials: list[Trial]) -> Trial | None:
    """Of those that have finished."""
    return next((trial for trial in _ranked(trials) if trial.state == "finished"), None)


def _save(trials: list[Trial], sweep_dir: pathlib.Path) -> None:
    """Writes `SWEEP_FILE`."""
    best = _best(trials)
    rows = [
        {"name": trial.name, "run_dir": str(trial.run_dir), "state": trial.state}
        | {"env_steps": trial.env_steps, "return_mean": trial.return_mean}
        for trial in _ranked(trials)
    ]
    text = json.dumps({"best": best and str(best.run_dir), "trials": rows}, indent=2)
    try:
        replace_file(sweep_dir / SWEEP_FILE, text.encode() + b"\n")
    except OSError as error:
        warn(f"{sweep_dir / SWEEP_FILE} cannot be written: {error.strerror}.")


def _show(trials: list[Trial], console: Console) -> int:
    """The table, the best, and what to do next; returns the exit code."""
    table = Table("trial", "state", "steps", "return")
    for trial in _ranked(trials):
        figure = "" if trial.return_mean is None else f"{trial.return_mean:.1f}"
        table.add_row(trial.name, trial.state, f"{trial.env_steps:,d}", figure)
    console.print(table)
    if best := _best(trials):
        console.print(f"Best: {best.name}. Score it with:\n  python -m eval.run {best.seed_dirs[0]}", soft_wrap=True)
    if any(trial.state in ("interrupted", "waiting") for trial in trials):
        console.print("Interrupted; the same command with --resume goes on.")
        return 128 + signal.SIGINT
    if failed := next((trial for trial in trials if trial.state == "failed"), None):
        console.print(f"Not all have finished (see {failed.output}); --resume tries them again.", soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

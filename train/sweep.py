"""``python -m train.sweep``: trains one run for each point of a search space, through Ray Tune, on one machine or many."""

import importlib.util
import json
import math
import pathlib
import signal
import sys

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from envs.command import UserError, framed, quoted, say, typed, warn
from train.code_file import naming, own_names, save_code
from train.config import CONFIG_FILE, load_config
from train.files import replace_file
from train.run_dir import locked, resumed
from train.trials import Args, Trial, make_trials

SWEEP_FILE = "sweep.json"


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 1 if a run failed, 2 after a mistake, 130 after an interruption."""
    args = sys.argv[1:] if args is None else args

    def run() -> int:
        own, of_run = tyro.cli(Args, args=args, prog=typed("train.sweep"), return_unknown_args=True)
        return sweep(own, of_run, Console())

    return framed(run)


def sweep(args: Args, of_run: list[str], console: Console) -> int:
    """Trains the runs that have not ended yet, and shows all of them.

    Args:
      args: flags of the sweep.
      of_run: flags of train.run, for all runs.
      console: where to show it.

    Returns:
      The exit code, as of `main`.

    Raises:
      UserError: a run is impossible, Ray is missing, or the sweep cannot go on; one sentence. Nothing was trained.
      SystemExit: a flag is wrong (2).
    """
    trials = make_trials(args, of_run)
    if (args.sweep_dir / SWEEP_FILE).exists():
        if not args.resume:
            raise UserError(f"{args.sweep_dir} holds a sweep: add --resume to go on with it, or name another --sweep-dir.")
        _take_states(trials, args)
    waiting = any(trial.state == "waiting" for trial in trials)
    if waiting and importlib.util.find_spec("ray") is None:
        raise UserError("A sweep needs Ray Tune, which is not installed: pip install '.[sweep]'.")
    with locked(args.sweep_dir):
        for trial in trials:
            with locked(trial.run_dir):  # a process of a killed sweep may not have ended yet
                trial.config.save(trial.run_dir)
                save_code(trial.run_dir, trial.config)
        if waiting:
            from train.ray_trials import run_trials  # not above: Ray is optional, and takes seconds to load

            run_trials(trials, args, console, lambda: _save(trials, args.sweep_dir))
        for trial in trials:
            if trial.state == "running":
                trial.state = "interrupted"
            trial.update_from_files()
        _save(trials, args.sweep_dir)
    return _show(trials, console)


def _take_states(trials: list[Trial], args: Args) -> None:
    """Sets the trials' states to those in the files of a sweep that goes on.

    Raises:
      UserError: the files are another sweep's; one sentence.
    """
    path = args.sweep_dir / SWEEP_FILE
    try:
        states = {str(row["name"]): str(row["state"]) for row in json.loads(path.read_bytes())["trials"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as a sweep: {error!r}.") from error
    if other := sorted(states.keys() ^ {trial.name for trial in trials}):
        where = args.sweep_dir if other[0] in states else "this command"
        raise UserError(f"--resume goes on with the same search space, and {other[0]} is only in {where}.")
    for trial in trials:
        if (trial.run_dir / CONFIG_FILE).exists():
            trial.config = resumed(trial.config, load_config(trial.run_dir, **own_names(trial.config)))
        if states[trial.name] == "stopped" and args.grace_steps is not None:
            trial.state = "stopped"
        trial.update_from_files()


def _ranked(trials: list[Trial]) -> list[Trial]:
    """The trials, the one with the highest return first."""
    return sorted(trials, key=lambda trial: -math.inf if trial.return_mean is None else trial.return_mean, reverse=True)


def _best(trials: list[Trial]) -> Trial | None:
    """The trial with the highest return of those that have finished; None if none has."""
    return next((trial for trial in _ranked(trials) if trial.state == "finished"), None)


def _save(trials: list[Trial], sweep_dir: pathlib.Path) -> None:
    """Writes `SWEEP_FILE`; only warns where it cannot be written."""
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
    """Prints the table, the best trial, and what to do next. Returns the exit code."""
    table = Table("trial", "state", "steps", "return")
    for trial in _ranked(trials):
        figure = "" if trial.return_mean is None else f"{trial.return_mean:.1f}"
        table.add_row(Text(trial.name), trial.state, f"{trial.env_steps:,d}", figure)
    console.print(table)
    if best := _best(trials):
        say(
            console,
            f"Best: {best.name}. Score it with:\n  {typed('eval.run')} {quoted(best.seed_dirs[0])}{naming(best.config)}",
        )
    if any(trial.state in ("interrupted", "waiting") for trial in trials):
        say(console, "Interrupted; the same command with --resume goes on.")
        return 128 + signal.SIGINT
    if failed := next((trial for trial in trials if trial.state == "failed"), None):
        say(console, f"Not all have finished (see {failed.output}); --resume tries them again.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

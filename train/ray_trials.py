"""Runs the trials of a sweep through Ray Tune.

Each trial is a process of ``train.run``. An actor of Ray, on any machine of the cluster, starts it and watches it.
"""

import contextlib
import logging
import math
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from envs.command import UserError, first_line, say
from train.code_file import own_names
from train.interrupt import INSISTING_SIGNALS, stop_signals
from train.logs import evaluations
from train.trials import Args, Trial

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no telemetry; read when Ray is loaded
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the run directories hold all records
os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"  # `_Watch` prints it in one line
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # ours adds other signals
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new output prints a banner that cannot be turned off

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

USER_ERROR = 2
"""Exit code of a run that failed in a way that only the user can mend. Such a run is not resumed."""

POLL_S = 1.0
"""Seconds between two checks of a process."""

_PROGRAM = (
    "import ctypes, sys; ctypes.CDLL(None).prctl(1, 9); "  # PR_SET_PDEATHSIG, SIGKILL: it does not outlive its actor
    "from train.run import main; sys.exit(main(sys.argv[1:]))"
)


class TrialProcess(tune.Trainable):
    """Trains or resumes one run in a process of its own, and reports all of its evaluations to Tune, also earlier ones."""

    def setup(self, config: dict[str, Any]) -> None:
        """Starts the process; ``config`` comes from ``_config``."""
        os.chdir(config["cwd"])  # for relative paths
        self.result: dict[str, Any] = {"env_steps": 0, "return_mean": -math.inf}
        self.output = pathlib.Path(config["output"])
        path = os.pathsep.join(filter(None, (str(pathlib.Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                # -P: otherwise a file train.py in the working directory would hide ours.
                [sys.executable, "-P", "-c", _PROGRAM, *config["flags"]],
                env=os.environ | {"PYTHONPATH": path} | config["environment"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal must reach Tune alone
            )

    def step(self) -> dict[str, Any]:
        """The next evaluation; or the last one again, if none comes within `POLL_S`."""
        code = self.process.poll()  # before the evaluations are read, so that none is missed
        after = self.result["env_steps"]
        news = [{"env_steps": x, "return_mean": y} for x, y in evaluations(self.config["seed_dirs"]).items() if x > after]
        if news:
            self.result = news[0]
        elif code is None:
            time.sleep(POLL_S)
        elif code in (0, USER_ERROR):
            return self.result | {"done": True, "error": self._last_line() if code else ""}
        else:
            raise RuntimeError(f"exit code {code}: {self._last_line()}")
        return self.result

    def cleanup(self) -> None:
        """Ends the process, with a checkpoint, if it has not ended yet."""
        self.process.terminate()
        self.process.wait()

    def _last_line(self) -> str:
        return self.output.read_text(errors="replace").strip().rpartition("\n")[2]


class _Watch(tune.Callback):
    """Keeps the states of the trials up to date, and shows how far they are."""

    def __init__(self, trials: list[Trial], progress: Progress, save: Callable[[], object]):
        self.trials = {trial.name: trial for trial in trials}
        self.save = save
        self.progress = progress
        self.task = progress.add_task("", total=sum(trial.config.total_steps for trial in trials))
        self._advance()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks, for a way to resume that is not used here

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._change(trial, "running", "starts")

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        ours = self.trials[trial.config["name"]]
        if result["env_steps"] > ours.env_steps:  # not the last one again
            ours.env_steps, ours.return_mean = result["env_steps"], result["return_mean"]
            self._advance()
        if not result["done"]:
            return
        reached = f"return {result['return_mean']:.1f} after {result['env_steps']:,d} steps"
        if "error" not in result:  # ASHA stopped it; its process has not ended
            self._change(trial, "stopped", f"stopped early: {reached}")
        elif result["error"]:
            self._change(trial, "failed", f"failed: {result['error']}")
        else:
            self._change(trial, "finished", f"finished: {reached}")

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._change(trial, "waiting", f"is resumed after {_reason(trial)}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._change(trial, "failed", f"failed: {_reason(trial)}")

    def _advance(self) -> None:
        trials = self.trials.values()
        ended = sum(trial.state in ("finished", "stopped", "failed") for trial in trials)
        steps = sum(trial.env_steps for trial in trials)
        self.progress.update(self.task, completed=steps, description=f"{ended} of {len(trials)} trials have ended")

    def _change(self, trial: Any, state: str, text: str) -> None:
        name = trial.config["name"]
        self.trials[name].state = state
        self.save()
        self._advance()
        say(self.progress.console, f"{name}: {text}")


def _reason(trial: Any) -> str:
    """The last line of what Ray says about a failure."""
    return pathlib.Path(trial.error_file).read_text(errors="replace").strip().rpartition("\n")[2].strip()


def run_trials(trials: list[Trial], args: Args, console: Console, save: Callable[[], object]) -> None:
    """Trains the trials that wait, until they have ended or one of `stop_signals` comes.

    Args:
      trials: all trials of the sweep. Their states are changed. Each run directory holds the run's config.
      args: flags of the sweep.
      console: where to show progress.
      save: called whenever a state has changed.

    Raises:
      UserError: there is no such cluster, or this machine is too small for a trial; one sentence.
      KeyboardInterrupt: a second Ctrl-C came.
    """
    _connect(args)
    save()
    scheduler = None
    if args.grace_steps is not None:
        longest = max(trial.config.total_steps for trial in trials)
        scheduler = ASHAScheduler(
            time_attr="env_steps",
            metric="return_mean",
            mode="max",
            grace_period=args.grace_steps,
            max_t=max(longest, args.grace_steps),
            stop_last_trials=False,
        )
    columns = (BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.description}"))
    try:
        with (
            tempfile.TemporaryDirectory() as folder,  # for Tune's own records: the run directories hold all that is needed
            Progress(*columns, console=console, disable=not console.is_terminal) as progress,
            _stopped_by_signals(progress.console),
        ):
            tune.Tuner(
                tune.with_resources(TrialProcess, {"cpu": args.cpus, "gpu": args.gpus}),
                param_space=tune.grid_search([_config(trial, args) for trial in trials if trial.state == "waiting"]),
                tune_config=tune.TuneConfig(scheduler=scheduler),
                run_config=tune.RunConfig(
                    storage_path=folder,
                    verbose=0,
                    callbacks=[_Watch(trials, progress, save)],
                    failure_config=tune.FailureConfig(max_failures=args.max_failures),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the runs write their own
                ),
            ).fit()
    finally:
        ray.shutdown()


def _connect(args: Args) -> None:
    """Starts Ray on this machine, or joins a cluster."""
    host, _, port = args.address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():  # Ray itself would keep trying for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(args.address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError) as error:
        raise UserError(f"There is no Ray cluster at {args.address}.") from error
    except Exception as error:  # Ray has no class of its own for a start that took too long
        raise UserError(f"Ray did not start: {first_line(error)}.") from error
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # `_Watch` and the table say the same
    logging.getLogger("ray.tune.execution.insufficient_resources_manager").setLevel(logging.WARNING)
    if args.address != "local":
        return  # a cluster may grow
    for name, wanted in (("CPU", args.cpus), ("GPU", args.gpus)):
        if wanted > (there := ray.cluster_resources().get(name, 0)):
            ray.shutdown()
            raise UserError(f"--{name.lower()}s {wanted:g} is more than this machine has: {there:g}.")


@contextlib.contextmanager
def _stopped_by_signals(console: Console) -> Iterator[None]:
    """In this block, `stop_signals` end all trials in order. A second Ctrl-C or SIGTERM ends everything at once."""
    came = False

    def stop(number: int, frame: object) -> None:
        nonlocal came
        if came and number not in INSISTING_SIGNALS:
            return
        if came or signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:  # Tune has not begun yet
            raise KeyboardInterrupt
        came = True
        console.print("Stopping, each run with a checkpoint. Once more to stop without.")
        signal.raise_signal(signal.SIGUSR1)  # at this signal Tune ends all trials in order

    # SIGUSR1 is Tune's own.
    previous = {number: signal.signal(number, stop) for number in stop_signals() if number != signal.SIGUSR1}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _config(trial: Trial, args: Args) -> dict[str, Any]:
    """What the actor of a trial needs to know."""
    environment = {}
    if not args.gpus:
        environment["JAX_PLATFORMS"] = "cpu"
    elif args.gpus < 1:
        environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.75 * args.gpus:.3f}"  # JAX's default part of the share
    flags = ["--run-dir", str(trial.run_dir), "--resume"]  # without a checkpoint, this begins the run
    flags += [word for flag, name in own_names(trial.config).items() for word in (f"--{flag}", name)]
    flags += ["--compilation-cache", str(trial.config.compilation_cache)]  # the config's file does not hold it
    return {
        "name": trial.name,
        "cwd": os.getcwd(),
        "output": str(trial.output),
        "seed_dirs": trial.seed_dirs,
        "flags": flags,
        "environment": environment,
    }

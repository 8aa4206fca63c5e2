"""The trials of a sweep, as Ray Tune's: each is a process of ``train.run``, and an actor somewhere that looks after it."""

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
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from envs.command import UserError
from train.logs import evaluations

if TYPE_CHECKING:
    from train.sweep import Args, Trial

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no telemetry; read when Ray is loaded
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the run directories hold all there is
os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"  # `_Watch` says it in one line
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # ours adds SIGTERM
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the other output prints a banner, whatever it is told

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

USER_ERROR = 2
"""Exit code of a run that only the user can mend: it is not taken up again."""

POLL_S = 1.0
"""Seconds between two looks at a process."""

_PROGRAM = (
    "import ctypes, sys; ctypes.CDLL(None).prctl(1, 9); "  # PR_SET_PDEATHSIG, SIGKILL: it does not outlive its actor
    "from train.run import main; sys.exit(main(sys.argv[1:]))"
)


class TrialProcess(tune.Trainable):
    """Trains one run in a process of its own, or goes on with it, and tells Tune its evaluations, also those of before."""

    def setup(self, config: dict[str, Any]) -> None:
        """Starts the process; ``config`` is what `_config` says of a trial."""
        os.chdir(config["cwd"])  # for relative paths
        self.result: dict[str, Any] = {"env_steps": 0, "return_mean": -math.inf}
        self.output = pathlib.Path(config["output"])
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *config["flags"]],
                env=os.environ | config["environment"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal is Tune's affair
            )

    def step(self) -> dict[str, Any]:
        """The next evaluation, or the last one again where none comes within `POLL_S`."""
        code = self.process.poll()  # before reading, so that nothing is missed
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
        """Ends the process, with a checkpoint, where it has not ended."""
        self.process.terminate()
        self.process.wait()

    def _last_line(self) -> str:
        return self.output.read_text(errors="replace").strip().rpartition("\n")[2]


class _Watch(tune.Callback):
    """Keeps the trials' states, and shows how far they are."""

    def __init__(self, trials: "list[Trial]", progress: Progress, save: Callable[[], object]):
        self.trials = {trial.name: trial for trial in trials}
        self.save = save
        self.progress = progress
        self.task = progress.add_task("", total=sum(trial.config.total_steps for trial in trials))
        self._advance()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles what it is given, for a way of resuming that is not ours

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._change(trial, "running", "starts")

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        ours = self.trials[trial.config["name"]]
        if result["env_steps"] > ours.env_steps:  # not one of before again
            ours.env_steps, ours.return_mean = result["env_steps"], result["return_mean"]
            self._advance()
        if not result["done"]:
            return
        reached = f"return {result['return_mean']:.1f} after {result['env_steps']:,d} steps"
        if "error" not in result:  # its process goes on, but ASHA wants it to end
            self._change(trial, "stopped", f"stopped early: {reached}")
        elif result["error"]:
            self._change(trial, "failed", f"failed: {result['error']}")
        else:
            self._change(trial, "finished", f"finished: {reached}")

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._change(trial, "waiting", f"is taken up again after {_reason(trial)}")

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
        self.progress.console.print(f"{name}: {text}", soft_wrap=True, markup=False, highlight=False)


def _reason(trial: Any) -> str:
    """The last line of what Ray says."""
    return pathlib.Path(trial.error_file).read_text(errors="replace").strip().rpartition("\n")[2].strip()


def run_trials(trials: "list[Trial]", args: "Args", console: Console, save: Callable[[], object]) -> None:
    """Trains those that wait, until they have ended or Ctrl-C or SIGTERM comes.

    Args:
      trials: all of the sweep; their states are changed. In each run directory lies the config.
      args: of the sweep.
      console: where progress goes.
      save: called whenever a state has changed.

    Raises:
      UserError: no such cluster, or a machine too small for a trial; one sentence.
      KeyboardInterrupt: the second Ctrl-C.
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
            tempfile.TemporaryDirectory() as folder,  # Tune's own records: the run directories have all that is needed
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
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the runs have their own
                ),
            ).fit()
    finally:
        ray.shutdown()


def _connect(args: "Args") -> None:
    """Starts Ray on this machine, or joins a cluster."""
    host, _, port = args.address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(args.address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError) as error:
        raise UserError(f"There is no Ray cluster at {args.address}.") from error
    except Exception as error:  # Ray has no class for a start that took it too long
        raise UserError(f"Ray did not start: {str(error).partition(chr(10))[0].rstrip('.')}.") from error
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # `_Watch` and the table say it
    logging.getLogger("ray.tune.execution.insufficient_resources_manager").setLevel(logging.WARNING)
    if args.address != "local":
        return  # a cluster may grow
    for name, wanted in (("CPU", args.cpus), ("GPU", args.gpus)):
        if wanted > (there := ray.cluster_resources().get(name, 0)):
            ray.shutdown()
            raise UserError(f"--{name.lower()}s {wanted:g} is more than this machine has: {there:g}.")


@contextlib.contextmanager
def _stopped_by_signals(console: Console) -> Iterator[None]:
    """Ctrl-C and SIGTERM end all trials in order; the second of them ends everything at once."""
    came = False

    def stop(number: int, frame: object) -> None:
        nonlocal came
        if came or signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:  # Tune has not begun yet
            raise KeyboardInterrupt
        came = True
        console.print("Stopping, each run with a checkpoint. Once more to stop without.")
        signal.raise_signal(signal.SIGUSR1)  # which Tune ends in order at

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _config(trial: "Trial", args: "Args") -> dict[str, Any]:
    """What a worker needs to know of a trial."""
    environment = {}
    if not args.gpus:
        environment["JAX_PLATFORMS"] = "cpu"
    elif args.gpus < 1:
        environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.75 * args.gpus:.3f}"  # JAX's own share of its share
    flags = ["--run-dir", str(trial.run_dir), "--resume"]  # which begins where there is no checkpoint
    flags += ["--compilation-cache", str(trial.config.compilation_cache)]  # no file says it
    return {
        "name": trial.name,
        "cwd": os.getcwd(),
        "output": str(trial.output),
        "seed_dirs": trial.seed_dirs,
        "flags": flags,
        "environment": environment,
    }

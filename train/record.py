"""What a run keeps of one of its seeds: logs, checkpoints, and the evidence when it goes wrong."""

import dataclasses
import pathlib
from typing import Any

import pydantic

from envs.blow_ups import BlowUps
from envs.command import UserError, warn
from train.checkpoints import Checkpoints, Notes
from train.config import Config, config_from_json
from train.divergence import Watch, save_evidence
from train.logs import Logs, flatten
from train.processes import is_main_process
from train.run_dir import check_same_run
from train.state import TrainState, checkpoint_parts, from_checkpoint_parts


@dataclasses.dataclass(frozen=True)
class Progress:
    """What the host has to remember of a run, beside the state.

    Attributes:
      chunks: finished, and in the logs.
      iterations: made of the chunk after them.
      train_s: seconds they took.
      wall_s: seconds of the whole run.
      updates: gradient steps up to the last log line.
      diverged: worlds of this seed that blew up, up to the last log line.
      return_mean: of this seed's evaluation at the last log line; None without one.
    """

    chunks: int = 0
    iterations: int = 0
    train_s: float = 0.0
    wall_s: float = 0.0
    updates: int = 0
    diverged: int = 0
    return_mean: float | None = None


class Record:
    """The directory of one seed.

    Args:
      config: of this seed alone, with its directory.
      interval_steps: environment steps in a logging interval, over all worlds.
      pool_size: start states drawn for it.
      one_of_several: it is one of several seeds, of whose checkpoints the run decides together which to keep.
    """

    def __init__(self, config: Config, interval_steps: int, pool_size: int, one_of_several: bool = False):
        self.config = config
        self.run_dir = pathlib.Path(str(config.run_dir))
        self.checkpoints = Checkpoints(self.run_dir, None if one_of_several else config.keep_checkpoints)
        self._name = f"Seed {config.seed}: " if one_of_several else ""
        self._watch = Watch(config, self.run_dir, interval_steps, pool_size)
        self._logs: Logs | None = None
        self._diverged = 0
        self._return_mean: float | None = None

    def restore(self, shapes: TrainState, at_most: int | None = None) -> tuple[int, TrainState, Progress]:
        """The newest intact checkpoint, of step ``at_most`` or before: its step, the state and the progress.

        Raises:
          UserError: none is intact, or they are another run's; one sentence.
        """
        like, optional = checkpoint_parts(shapes), frozenset({"replay"})
        step, parts, notes = self.checkpoints.restore(like, at_most=at_most, optional=optional)
        state = from_checkpoint_parts(parts)
        check_same_run(self.config, config_from_json(notes.config, f"The config in the checkpoint of step {step}"))
        try:
            progress = pydantic.TypeAdapter(Progress).validate_python(notes.progress)
        except pydantic.ValidationError as error:
            raise UserError(f"The checkpoint of step {step} tells no progress: {error.errors()[0]['msg']}.") from error
        self._diverged, self._return_mean = progress.diverged, progress.return_mean
        return step, state, progress

    def open(self, env_steps: int) -> None:
        """Opens the logs, of which lines beyond ``env_steps`` are dropped; the main process writes them."""
        if not is_main_process():
            return
        self._logs = Logs(self.run_dir, env_steps, self.config.to_json() if self.config.wandb else None)

    def write(self, line: dict[str, Any], metrics: dict[str, Any]) -> dict[str, float | int | None]:
        """Writes a line of the logs, ``line`` and this seed's ``metrics``; returns it flattened."""
        self._diverged += int(metrics["safety/diverged"])
        self._return_mean = float(metrics["eval/return_mean"]) if "eval/return_mean" in metrics else None
        line = line | {"safety/diverged_total": self._diverged} | metrics
        return self._logs.write(line) if self._logs else flatten(line)

    def check(self, blow_ups: BlowUps, metrics: dict[str, Any]) -> str | None:
        """Writes the evidence of an interval with blow-ups, and returns why the run has to stop, if it has to.

        Args:
          blow_ups: those that are kept at the end of the interval.
          metrics: of the interval, on the host.
        """
        if metrics["safety/diverged"]:
            save_evidence(self.run_dir, blow_ups)
        reason = self._watch.add_interval(metrics)
        return reason and self._name + reason

    def save(self, step: int, state: TrainState, progress: Progress) -> None:
        """Begins a checkpoint, of ``progress`` and what this seed has of its own to remember; none is under way."""
        return_mean = None if progress.iterations else self._return_mean
        progress = dataclasses.replace(progress, diverged=self._diverged, return_mean=self._return_mean)
        notes = Notes(self.config.to_json(), dataclasses.asdict(progress), return_mean)
        self.checkpoints.save(step, checkpoint_parts(state), notes)

    def finish_checkpoint(self, *, wait: bool = False) -> None:
        """As `Checkpoints.finish`, but only warns of a checkpoint that could not be written: the next one may succeed."""
        try:
            self.checkpoints.finish(wait=wait)
        except UserError as error:
            warn(f"{error} Training goes on; the checkpoints before it are intact.")

    def close(self) -> None:
        """Closes the logs.

        Raises:
          UserError: the last checkpoint could not be written.
        """
        try:
            if self._logs is not None:
                self._logs.close()
        finally:
            self.checkpoints.finish()

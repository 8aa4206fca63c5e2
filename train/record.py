"""What a run writes for each of its seeds: logs, checkpoints, and evidence of blow-ups."""

import dataclasses
import pathlib
from typing import Any

import pydantic

from envs.blow_ups import BlowUps
from envs.command import UserError, warn
from train.checkpoints import Checkpoints, Notes
from train.code_file import own_names
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
      chunks: finished chunks, which are in the logs.
      iterations: iterations made so far of the chunk under way.
      logged: those of them that a log line tells of already: 0, or all if the run ended with a short chunk.
      train_s: seconds that those iterations took.
      wall_s: seconds that the run has taken.
      updates: gradient steps up to the last log line of a whole chunk.
      diverged: blow-ups in worlds of this seed, up to the last log line of a whole chunk.
      return_mean: mean return of this seed's evaluation at the last log line; None without an evaluation.
    """

    chunks: int = 0
    iterations: int = 0
    logged: int = 0
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
      pool_size: start states drawn for a logging interval.
      one_of_several: the run has several seeds. It then decides for all of them which checkpoints to keep.
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
        """Restores the newest intact checkpoint, or the newest up to step ``at_most``: its step, the state and the progress.

        Raises:
          UserError: no checkpoint is intact, or they are another run's; one sentence.
        """
        like, optional = checkpoint_parts(shapes), frozenset({"replay"})
        step, parts, notes = self.checkpoints.restore(like, at_most=at_most, optional=optional)
        state, source = from_checkpoint_parts(parts), f"The config in the checkpoint of step {step}"
        check_same_run(self.config, config_from_json(notes.config, source, **own_names(self.config)))
        try:
            progress = pydantic.TypeAdapter(Progress).validate_python(notes.progress)
        except pydantic.ValidationError as error:
            raise UserError(f"The checkpoint of step {step} tells no progress: {error.errors()[0]['msg']}.") from error
        self._diverged, self._return_mean = progress.diverged, progress.return_mean
        return step, state, progress

    def open(self, env_steps: int) -> None:
        """Opens the logs, and drops their lines beyond ``env_steps``. Only the main process has logs."""
        if not is_main_process():
            return
        self._logs = Logs(self.run_dir, env_steps, self.config.to_json() if self.config.wandb else None)

    def write(self, line: dict[str, Any], metrics: dict[str, Any], whole: bool = True) -> dict[str, float | int | None]:
        """Writes a log line that joins ``line`` with this seed's ``metrics``. Returns it flattened.

        ``whole`` says whether the chunk ends here. Otherwise its blow-ups are counted again if the chunk goes on.
        """
        diverged = self._diverged + int(metrics["safety/diverged"])
        if whole:
            self._diverged = diverged
        self._return_mean = float(metrics["eval/return_mean"]) if "eval/return_mean" in metrics else None
        line = line | {"safety/diverged_total": diverged} | metrics
        return self._logs.write(line) if self._logs else flatten(line)

    def save_evidence(self, blow_ups: BlowUps, metrics: dict[str, Any]) -> None:
        """Writes the blow-ups that are kept at the end of an interval, if its ``metrics`` count any."""
        if metrics["safety/diverged"]:
            save_evidence(self.run_dir, blow_ups)

    def add_interval(self, metrics: dict[str, Any]) -> str | None:
        """As `Watch.add_interval`; in a run of several seeds the sentence names this one."""
        reason = self._watch.add_interval(metrics)
        return reason and self._name + reason

    def save(self, step: int, state: TrainState, progress: Progress) -> None:
        """Begins a checkpoint of ``state``, ``progress``, and what this seed has to remember. None may be under way."""
        return_mean = self._return_mean if progress.iterations == progress.logged else None
        progress = dataclasses.replace(progress, diverged=self._diverged, return_mean=self._return_mean)
        notes = Notes(self.config.to_json(), dataclasses.asdict(progress), return_mean)
        self.checkpoints.save(step, checkpoint_parts(state), notes)

    def finish_checkpoint(self, *, wait: bool = False) -> None:
        """As `Checkpoints.finish`. It only warns of a checkpoint that could not be written, since the next may succeed."""
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

"""A run on the host's side: portions of the training program, and between them logs, evaluations and checkpoints."""

import dataclasses
import pathlib
import time
from collections.abc import Callable
from typing import IO, Any, cast

import jax
import jax.numpy as jnp
import pydantic
from rich.console import Console

import envs
from mjx_tecrl.replay import Replay
from train.checkpoint import Checkpoints, Notes
from train.config import CONFIG_FILE, Config, config_from_json, load_config
from train.divergence import Watch, check_starts
from train.errors import UserError, warn
from train.interrupt import Interrupt
from train.learner import Learner
from train.logs import Logs
from train.memory import check_memory, shortage_explained
from train.progress import PatientOutput, ProgressDisplay
from train.run_dir import locked, run_dir_of
from train.state import TrainState

FREE_TO_CHANGE = {
    "preset",
    "total_steps",
    "eval_steps",
    "checkpoint_steps",
    "checkpoint_replay",
    "eval_episodes",
    "run_dir",
    "keep_checkpoints",
    "max_diverged",
    "max_skipped",
    "compilation_cache",
    "wandb",
}
"""Fields that may differ when a run is resumed; every other one is part of what the checkpoint means."""

PORTION_S = 1.0
"""Seconds of training between two looks at the signals that came."""


class Interrupted(Exception):
    """The run was stopped by a signal, with a checkpoint.

    Attributes:
      signal: its number.
    """

    def __init__(self, signal: int):
        super().__init__(signal)
        self.signal = signal


@dataclasses.dataclass(frozen=True)
class Progress:
    """What the host has to remember of a run, beside the state.

    Attributes:
      chunks: finished, and in the logs.
      turns: done of the chunk after them.
      train_s: seconds they took.
      wall_s: seconds of the whole run.
      diverged: worlds that blew up, up to the last log line.
      updates: gradient steps up to the last log line.
      return_mean: of the evaluation at the last log line; None without one.
    """

    chunks: int = 0
    turns: int = 0
    train_s: float = 0.0
    wall_s: float = 0.0
    diverged: int = 0
    updates: int = 0
    return_mean: float | None = None


@shortage_explained()
def train(config: Config, *, resume: bool = False, console: Console | None = None) -> pathlib.Path:
    """Trains, and returns the run directory.

    Args:
      config: what to do.
      resume: continue the run in ``config.run_dir`` from its newest whole checkpoint, or from the start where there is none.
      console: where progress goes; default: standard output.

    Raises:
      UserError: the config cannot be, or the run cannot go on; one sentence.
      Interrupted: by Ctrl-C or SIGTERM; a checkpoint was written.
    """
    console = console or Console(file=cast(IO[str], PatientOutput()))
    config = config.validate()
    run_dir = run_dir_of(config)
    if resume:
        _check_same_run(config, load_config(run_dir))
    elif (run_dir / CONFIG_FILE).exists():
        raise UserError(f"{run_dir} holds a run already: add --resume to go on with it, or name another --run-dir.")
    learner = Learner(config)
    shapes = learner.state_shapes()
    check_memory(learner, shapes)
    use_compilation_cache(config.compilation_cache)
    root = jax.random.key(config.seed)
    pool = learner.draw_pool(root, jnp.zeros((), jnp.int32))
    check_starts(pool, config)
    with locked(run_dir), Interrupt(console) as interrupt:
        console.print(
            f"{config.agent} on {config.env}: {config.num_envs} worlds, {learner.env.engine} physics, "
            f"preset {config.preset}; run directory {run_dir}\ncompiling",
            soft_wrap=True,
        )
        advance = learner.advance.lower(shapes, jax.ShapeDtypeStruct((), jnp.int32)).compile()
        analysis = advance.memory_analysis()
        memory = check_memory(learner, shapes, analysis.temp_size_in_bytes if analysis else 0)
        console.print(f"memory: {memory.describe()}", soft_wrap=True)
        checkpoints = Checkpoints(run_dir, config.keep_checkpoints)
        state, progress = None, Progress()
        if resume:
            state, progress = restore_run(learner, shapes, checkpoints, console)
        if state is None:
            state = jax.block_until_ready(learner.init(root, pool))  # whether there is the memory shows here
        del pool  # or it were held as long as the run
        config.save(run_dir)
        return _Run(learner, advance, run_dir, checkpoints, console, interrupt).train(state, progress)


def restore_run(
    learner: Learner, shapes: TrainState, checkpoints: Checkpoints, console: Console
) -> tuple[TrainState | None, Progress]:
    """The state and the progress in the newest whole checkpoint of a run; no state where it was stopped before the first.

    Raises:
      UserError: there are checkpoints, but none is whole, or they are another run's.
    """
    if not checkpoints.steps:
        console.print("There is no checkpoint yet: the run begins again.")
        checkpoints.clean(beyond=0)
        return None, Progress()
    step, state, notes = checkpoints.restore(shapes)
    _check_same_run(learner.config, config_from_json(notes.config, f"The config in the checkpoint of step {step}"))
    checkpoints.clean(beyond=step)
    if isinstance(state.replay, Replay) and not int(state.replay.size):
        console.print(
            f"The checkpoint of step {step} has no replay: learning goes on when {learner.config.learning_starts} "
            "transitions have been collected."
        )
    try:
        return state, pydantic.TypeAdapter(Progress).validate_python(notes.progress)
    except pydantic.ValidationError as error:
        raise UserError(f"The checkpoint of step {step} tells no progress: {error.errors()[0]['msg']}.") from error


class _Run:
    """A run under way.

    Args:
      learner: the task and the agent.
      advance: its training program, compiled.
      run_dir: where everything is written.
      checkpoints: of this directory.
      console: where progress goes.
      interrupt: says whether to stop.
    """

    def __init__(
        self,
        learner: Learner,
        advance: Callable[[TrainState, jax.Array], TrainState],
        run_dir: pathlib.Path,
        checkpoints: Checkpoints,
        console: Console,
        interrupt: Interrupt,
    ):
        self.learner = learner
        self.advance = advance
        self.config = learner.config
        self.run_dir = run_dir
        self.checkpoints = checkpoints
        self.console = console
        self.interrupt = interrupt
        self.root = jax.random.key(self.config.seed)
        self.chunk_steps = learner.chunk_iterations * self.config.num_envs
        self.turn_steps = learner.loop.turn_iterations * self.config.num_envs
        self.last_chunk = -(-self.config.total_steps // self.chunk_steps)
        self.portion = 1  # turns, as many as fit into `PORTION_S`
        self.stalled_s = 0.0  # by checkpoints, since the last log line

    def train(self, state: TrainState, progress: Progress) -> pathlib.Path:
        """Goes on to the end, or until a signal comes."""
        config = self.config
        logs = Logs(self.run_dir, progress.chunks * self.chunk_steps, config.to_json() if config.wandb else None)
        display = ProgressDisplay(self.console, self.last_chunk * self.chunk_steps, self._env_steps(progress))
        watch = Watch(config, self.run_dir, self.chunk_steps, self.learner.worlds.pool_size)
        started = time.perf_counter() - progress.wall_s
        try:
            with display:
                while progress.chunks < self.last_chunk and self.interrupt.signal is None:
                    state, progress = self._train_chunk(state, progress, display)
                    if progress.turns < self.learner.loop.turns_per_chunk:
                        break
                    evaluation = self._evaluate(state, progress)
                    if evaluation is None:
                        break
                    metrics = jax.device_get(self.learner.report(state)) | evaluation
                    progress = dataclasses.replace(progress, wall_s=time.perf_counter() - started)
                    progress = self._write_line(logs, display, state, progress, metrics)
                    reason_to_stop = watch.look(state, metrics)
                    if self._due(config.checkpoint_steps, progress.chunks) or reason_to_stop:
                        self._save(state, progress)
                    if reason_to_stop:
                        raise UserError(reason_to_stop)
            self._save(state, dataclasses.replace(progress, wall_s=time.perf_counter() - started))
        finally:
            logs.close()
            self.checkpoints.finish()
        self._say_goodbye(progress)
        return self.run_dir

    def _train_chunk(self, state: TrainState, progress: Progress, display: ProgressDisplay) -> tuple[TrainState, Progress]:
        """The rest of the chunk under way, or less where a signal comes."""
        learner, turns_per_chunk = self.learner, self.learner.loop.turns_per_chunk
        if not progress.turns:
            number = jnp.asarray(progress.chunks + 1, jnp.int32)
            state = learner.begin_chunk(state, learner.draw_pool(self.root, number))
        while progress.turns < turns_per_chunk and self.interrupt.signal is None:
            turns = min(self.portion, turns_per_chunk - progress.turns)
            started = time.perf_counter()
            state = self.advance(state, jnp.asarray(turns, jnp.int32))
            jax.block_until_ready(state.iterations)
            seconds = time.perf_counter() - started
            # No portion is taken for more than twice as fast as the one before it.
            self.portion = max(1, min(2 * self.portion, int(turns * PORTION_S / seconds)))
            progress = dataclasses.replace(progress, turns=progress.turns + turns, train_s=progress.train_s + seconds)
            display.advance(self._env_steps(progress))
            self._look_after_checkpoint()
        return state, progress

    def _evaluate(self, state: TrainState, progress: Progress) -> dict[str, Any] | None:
        """The evaluation, if one is due after the chunk under way; None where a signal comes."""
        number = progress.chunks + 1
        if not self._due(self.config.eval_steps, number) and number != self.last_chunk:
            return {}
        started = time.perf_counter()
        episodes = self.learner.evaluate(self.root, state.actor, jnp.asarray(number, jnp.int32))
        while not all(x.is_ready() for x in jax.tree.leaves(episodes)):
            if self.interrupt.signal is not None:
                return None
            time.sleep(0.01)
        return _summary(jax.device_get(episodes)) | {"time/eval_s": time.perf_counter() - started}

    def _write_line(
        self, logs: Logs, display: ProgressDisplay, state: TrainState, progress: Progress, metrics: dict[str, Any]
    ) -> Progress:
        """The log line of the chunk that ends here; returns what is to be remembered at the beginning of the next."""
        updates, seconds = int(state.updates), progress.train_s
        after = Progress(
            chunks=progress.chunks + 1,
            wall_s=progress.wall_s,
            diverged=progress.diverged + int(metrics["safety/diverged"]),
            updates=updates,
            return_mean=float(metrics["eval/return_mean"]) if "eval/return_mean" in metrics else None,
        )
        line = {
            "env_steps": self._env_steps(after),
            "updates": updates,
            "wall_s": progress.wall_s,
            "safety/diverged_total": after.diverged,
            "speed/env_steps_per_s": self.chunk_steps / seconds,
            "speed/updates_per_s": (updates - progress.updates) / seconds,
            "time/train_s": seconds,
            "time/checkpoint_s": self.stalled_s,
        }
        self.stalled_s = 0.0
        display.show(logs.write(line | metrics))
        return after

    def _save(self, state: TrainState, progress: Progress) -> None:
        """Begins a checkpoint."""
        started = time.perf_counter()
        self._look_after_checkpoint(wait=True)
        return_mean = None if progress.turns else progress.return_mean
        notes = Notes(self.config.to_json(), dataclasses.asdict(progress), return_mean)
        self.checkpoints.save(self._env_steps(progress), state, notes, replay=self.config.checkpoint_replay)
        self.stalled_s += time.perf_counter() - started

    def _look_after_checkpoint(self, *, wait: bool = False) -> None:
        """A checkpoint that cannot be written does not end a run: the next one may."""
        try:
            self.checkpoints.finish(wait=wait)
        except UserError as error:
            warn(f"{error} Training goes on; the checkpoints before it are whole.")

    def _env_steps(self, progress: Progress) -> int:
        return progress.chunks * self.chunk_steps + progress.turns * self.turn_steps

    def _due(self, interval_steps: int, chunks: int) -> bool:
        """Whether an interval, rounded to whole chunks, ends with this chunk."""
        return chunks % max(1, round(interval_steps / self.chunk_steps)) == 0

    def _say_goodbye(self, progress: Progress) -> None:
        steps = self._env_steps(progress)
        if progress.chunks >= self.last_chunk:
            self.console.print(f"Done: {steps} steps. Score it with:\n  python -m eval.run {self.run_dir}", soft_wrap=True)
            return
        assert self.interrupt.signal is not None
        command = f"python -m train.run --run-dir {self.run_dir} --resume"
        self.console.print(
            f"Interrupted at {steps} steps; the checkpoint is whole. Go on with:\n  {command}", soft_wrap=True
        )
        raise Interrupted(self.interrupt.signal)


def _summary(episodes: envs.Episodes) -> dict[str, Any]:
    """The metrics of an evaluation."""
    whole = ~episodes.diverged
    if not whole.any():
        return {"eval/diverged": episodes.diverged.sum()}
    return {
        "eval/return_mean": episodes.returns[whole].mean(),
        "eval/return_std": episodes.returns[whole].std(),
        "eval/length_mean": episodes.lengths[whole].mean(),
        "eval/diverged": episodes.diverged.sum(),
    }


def _check_same_run(config: Config, saved: Config) -> None:
    for field in dataclasses.fields(Config):
        now, before = getattr(config, field.name), getattr(saved, field.name)
        if now != before and field.name not in FREE_TO_CHANGE:
            raise UserError(f"--resume goes on with a run whose {field.name} is {before!r}; it cannot become {now!r}.")


def use_compilation_cache(folder: str | None) -> None:
    """Keeps compiled programs in ``folder`` between processes; None for no cache."""
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(folder).expanduser()))

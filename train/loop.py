"""A run on the host's side: portions of the training program, and between them logs, evaluations and checkpoints."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable
from typing import IO, Any, cast

import jax
import jax.numpy as jnp
from rich.console import Console

import envs
from envs.command import Interrupted, UserError, warn
from mjx_tecrl.replay import Replay
from train.config import CONFIG_FILE, Config, load_config
from train.divergence import check_starts
from train.interrupt import Interrupt
from train.learner import Learner
from train.memory import check_memory, shortage_explained
from train.processes import is_main_process, largest
from train.progress import PatientOutput, ProgressDisplay, together
from train.record import Progress, Record
from train.run_dir import check_same_run, locked, run_dir_of
from train.seeds import all_seeds, one_seed, seed_configs
from train.state import TrainState

PORTION_S = 1.0
"""Seconds of training between two looks at the signals that came."""


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
    console = console or Console(file=cast(IO[str], PatientOutput()), quiet=not is_main_process())
    config = config.validate()
    run_dir = run_dir_of(config)
    configs = seed_configs(config, run_dir)
    # Of one seed the two are the same.
    directories = {run_dir: config} | {pathlib.Path(str(one.run_dir)): one for one in configs}
    if resume:
        check_same_run(config, load_config(run_dir))
    elif taken := next((path for path in directories if (path / CONFIG_FILE).exists()), None):
        raise UserError(f"{taken} holds a run already: add --resume to go on with it, or name another --run-dir.")
    learner = Learner(config)
    shapes = learner.state_shapes()
    check_memory(learner, shapes)
    use_compilation_cache(config.compilation_cache)
    pool = learner.draw_pool(learner.root, jnp.zeros((), jnp.int32))
    check_starts(pool, config)
    with contextlib.ExitStack() as stack:
        for path in directories if is_main_process() else ():
            stack.enter_context(locked(path))
        interrupt = stack.enter_context(Interrupt(console))
        seeds = f"{config.num_seeds} seeds, " if config.num_seeds > 1 else ""
        console.print(
            f"{config.agent} on {config.env}: {seeds}{config.num_envs} worlds, {learner.env.engine} physics, "
            f"preset {config.preset}; run directory {run_dir}\ncompiling",
            soft_wrap=True,
        )
        advance = learner.advance.lower(shapes, jax.ShapeDtypeStruct((), jnp.int32)).compile()
        analysis = advance.memory_analysis()
        memory = check_memory(learner, shapes, analysis.temp_size_in_bytes if analysis else 0)
        console.print(f"memory: {memory.describe()}", soft_wrap=True)
        records = [Record(one, learner.chunk_steps, learner.worlds.pool_size, config.num_seeds > 1) for one in configs]
        state, progress = None, Progress()
        if resume:
            state, progress = restore_run(learner, shapes, records, console)
        if state is None:
            state = jax.block_until_ready(learner.init(learner.root, pool))  # whether there is the memory shows here
        del pool  # or it were held as long as the run
        for path, one in directories.items() if is_main_process() else ():
            one.save(path)
        return _Run(learner, advance, run_dir, records, console, interrupt).train(state, progress)


def restore_run(
    learner: Learner, shapes: TrainState, records: list[Record], console: Console
) -> tuple[TrainState | None, Progress]:
    """The state and the progress in the newest checkpoint that is whole in all seeds; no state where there is none yet.

    Raises:
      UserError: there are checkpoints, but none is whole, or they are another run's.
    """
    without = [record for record in records if not record.checkpoints.steps]
    if without:
        # A run may be killed while some of its seeds have their first checkpoint and others not yet.
        if any(len(record.checkpoints.steps) > 1 for record in records):
            raise UserError(f"{without[0].run_dir} has no checkpoint, while other seeds of the run have some.")
        console.print("There is no checkpoint yet: the run begins again.")
        for record in records:
            record.checkpoints.clean(beyond=0)
        return None, Progress()
    several = len(records) > 1
    of_one = one_seed(shapes, 0) if several else shapes
    restored = [record.restore(of_one) for record in records]
    while len({step for step, _, _ in restored}) > 1:
        oldest = min(step for step, _, _ in restored)
        for number, record in enumerate(records):
            if restored[number][0] > oldest:
                warn(f"{record.run_dir} goes back from step {restored[number][0]}: the newest of all seeds is {oldest}.")
                restored[number] = record.restore(of_one, oldest)
    step, state, progress = restored[0]
    if several:
        if any((one.chunks, one.iterations) != (progress.chunks, progress.iterations) for _, _, one in restored):
            raise UserError(f"The seeds of {records[0].run_dir.parent} have gone apart: go on with each of them alone.")
        state = all_seeds([state for _, state, _ in restored])
    if (newest := largest(step)) != step:
        raise UserError(f"The checkpoint of step {newest} of {records[0].run_dir} is not there in all processes.")
    for record in records:
        record.checkpoints.clean(beyond=step)
    if isinstance(state.replay, Replay) and not int(state.replay.size):
        console.print(
            f"The checkpoint of step {step} has no replay: learning goes on when {learner.config.learning_starts} "
            "transitions have been collected."
        )
    return learner.place(state, shapes), progress


class _Run:
    """A run under way.

    Args:
      learner: the task and the agent.
      advance: its training program, compiled.
      run_dir: where everything is written.
      records: of its seeds.
      console: where progress goes.
      interrupt: says whether to stop.
    """

    def __init__(
        self,
        learner: Learner,
        advance: Callable[[TrainState, jax.Array], TrainState],
        run_dir: pathlib.Path,
        records: list[Record],
        console: Console,
        interrupt: Interrupt,
    ):
        self.learner = learner
        self.advance = advance
        self.config = learner.config
        self.run_dir = run_dir
        self.records = records
        self.console = console
        self.interrupt = interrupt
        self.last_chunk = -(-self.config.total_steps // learner.chunk_steps)
        self.turn_steps = learner.loop.turn_iterations * self.config.num_envs
        self.portion = 1  # turns, as many as fit into `PORTION_S`
        self.stalled_s = 0.0  # by checkpoints, since the last log line
        self.signal = 0  # that stops the run

    def train(self, state: TrainState, progress: Progress) -> pathlib.Path:
        """Goes on to the end, or until a signal comes."""
        chunk_steps = self.learner.chunk_steps
        display = ProgressDisplay(self.console, self.last_chunk * chunk_steps, self._env_steps(progress))
        started = time.perf_counter() - progress.wall_s
        try:
            for record in self.records:
                record.open(progress.chunks * chunk_steps)
            with display:
                while progress.chunks < self.last_chunk and not self._is_stopped():
                    state, progress = self._train_chunk(state, progress, display)
                    if progress.iterations < self.learner.loop.turns_per_chunk:
                        break
                    evaluations = self._evaluate(state, progress)
                    if evaluations is None:
                        break
                    reports = self._each(jax.device_get(self.learner.report(state)))
                    metrics = [report | evaluation for report, evaluation in zip(reports, evaluations, strict=True)]
                    progress = dataclasses.replace(progress, wall_s=time.perf_counter() - started)
                    progress = self._write_lines(display, state, progress, metrics)
                    reason_to_stop = self._look(state, metrics)
                    if self._due(self.config.checkpoint_steps, progress.chunks) or reason_to_stop:
                        self._save(state, progress)
                    if reason_to_stop:
                        raise UserError(reason_to_stop)
            self._save(state, dataclasses.replace(progress, wall_s=time.perf_counter() - started))
        finally:
            self._close()
        self._say_goodbye(progress)
        return self.run_dir

    def _train_chunk(self, state: TrainState, progress: Progress, display: ProgressDisplay) -> tuple[TrainState, Progress]:
        """The rest of the chunk under way, or less where a signal comes."""
        learner, turns_per_chunk = self.learner, self.learner.loop.turns_per_chunk
        if not progress.iterations:
            number = jnp.asarray(progress.chunks + 1, jnp.int32)
            state = learner.begin_chunk(state, learner.draw_pool(learner.root, number))
        while progress.iterations < turns_per_chunk and not self._is_stopped():
            turns = min(self.portion, turns_per_chunk - progress.iterations)
            started = time.perf_counter()
            state = self.advance(state, jnp.asarray(turns, jnp.int32))
            jax.block_until_ready(state.vector_steps)
            seconds = time.perf_counter() - started
            # No portion is taken for more than twice as fast as the one before it.
            self.portion = largest(max(1, min(2 * self.portion, int(turns * PORTION_S / seconds))))
            done = progress.iterations + turns
            progress = dataclasses.replace(progress, iterations=done, train_s=progress.train_s + seconds)
            display.advance(self._env_steps(progress))
            self._look_after_checkpoints()
        return state, progress

    def _is_stopped(self) -> bool:
        """Whether a signal came, to whichever process."""
        self.signal = largest(self.interrupt.signal or 0)
        return self.signal != 0

    def _evaluate(self, state: TrainState, progress: Progress) -> list[dict[str, Any]] | None:
        """The evaluation of each seed, if one is due after the chunk under way; None where a signal comes."""
        number = progress.chunks + 1
        if not self._due(self.config.eval_steps, number) and number != self.last_chunk:
            return [{} for _ in self.records]
        started = time.perf_counter()
        episodes = self.learner.evaluate(self.learner.root, state.actor, jnp.asarray(number, jnp.int32))
        while not all(x.is_ready() for x in jax.tree.leaves(episodes)):
            if jax.process_count() == 1 and self._is_stopped():
                return None
            time.sleep(0.01)
        took = {"time/eval_s": time.perf_counter() - started}
        return [_summary(one) | took for one in self._each(jax.device_get(episodes))]

    def _write_lines(
        self, display: ProgressDisplay, state: TrainState, progress: Progress, metrics: list[dict[str, Any]]
    ) -> Progress:
        """The log lines of the chunk that ends here; returns what is to be remembered at the beginning of the next."""
        updates, seconds = int(state.updates), progress.train_s
        after = Progress(chunks=progress.chunks + 1, wall_s=progress.wall_s, updates=updates)
        line = {
            "env_steps": self._env_steps(after),
            "updates": updates,
            "wall_s": progress.wall_s,
            "speed/env_steps_per_s": self.learner.chunk_steps / seconds,
            "speed/updates_per_s": (updates - progress.updates) / seconds,
            "time/train_s": seconds,
            "time/checkpoint_s": self.stalled_s,
        }
        self.stalled_s = 0.0
        display.show(together([record.write(line, own) for record, own in zip(self.records, metrics, strict=True)]))
        return after

    def _look(self, state: TrainState, metrics: list[dict[str, Any]]) -> str | None:
        """Why the run has to stop, if so: one seed that went wrong is enough."""
        blow_ups = self._each(state.envs.blow_ups)
        looks = zip(self.records, blow_ups, metrics, strict=True)
        reasons = [record.check(evidence, own) for record, evidence, own in looks]
        return " ".join(filter(None, reasons)) or None

    def _save(self, state: TrainState, progress: Progress) -> None:
        """Begins a checkpoint."""
        started = time.perf_counter()
        self._look_after_checkpoints(wait=True)
        if not self.config.checkpoint_replay:
            state = dataclasses.replace(state, replay=())
        for number, record in enumerate(self.records):
            own = state if len(self.records) == 1 else one_seed(state, number)
            record.save(self._env_steps(progress), own, progress)
        self.stalled_s += time.perf_counter() - started

    def _look_after_checkpoints(self, *, wait: bool = False) -> None:
        """Tells how those that were begun ended."""
        begun = any(record.checkpoints.writing for record in self.records)
        for record in self.records:
            record.finish_checkpoint(wait=wait)
        if begun and not any(record.checkpoints.writing for record in self.records):
            self._prune()

    def _prune(self) -> None:
        """Of several seeds only steps that all of them have count as new, for a run goes on from one of these."""
        if len(self.records) > 1:
            common = set.intersection(*(set(record.checkpoints.steps) for record in self.records))
            for record in self.records:
                record.checkpoints.prune(sorted(common), self.config.keep_checkpoints)

    def _each(self, tree: Any) -> list[Any]:
        """What belongs to each seed of a tree with an axis for them."""
        if len(self.records) == 1:
            return [tree]
        return [jax.tree.map(lambda x, number=number: x[number], tree) for number in range(len(self.records))]

    def _close(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._prune)  # the last of these
            for record in self.records:
                stack.callback(record.close)

    def _env_steps(self, progress: Progress) -> int:
        return progress.chunks * self.learner.chunk_steps + progress.iterations * self.turn_steps

    def _due(self, interval_steps: int, chunks: int) -> bool:
        """Whether an interval, rounded to whole chunks, ends with this chunk."""
        return chunks % max(1, round(interval_steps / self.learner.chunk_steps)) == 0

    def _say_goodbye(self, progress: Progress) -> None:
        steps = self._env_steps(progress)
        if progress.chunks >= self.last_chunk:
            self.console.print(
                f"Done: {steps} steps. Score it with:\n  python -m eval.run {self.records[0].run_dir}", soft_wrap=True
            )
            return
        command = f"python -m train.run --run-dir {self.run_dir} --resume"
        self.console.print(
            f"Interrupted at {steps} steps; the checkpoint is whole. Go on with:\n  {command}", soft_wrap=True
        )
        raise Interrupted(self.signal)


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


def use_compilation_cache(folder: str | None) -> None:
    """Keeps compiled programs in ``folder`` between processes; None for no cache."""
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(folder).expanduser()))

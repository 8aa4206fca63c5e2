"""A run on the host's side: portions of the training program, and between them logs, evaluations and checkpoints.

The units of time (iteration, chunk, interval) are explained in `train.iteration`.
"""

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
from envs.command import Interrupted, UserError, quoted, say, typed, user_errors, warn
from envs.jax_settings import COMPILATION, check_jax_settings
from envs.own_code import label
from train.code_file import naming, own_names, save_code, warn_of_changed_code
from train.compilation_cache import use_compilation_cache
from train.config import CONFIG_FILE, Config, load_config
from train.divergence import check_starts
from train.interrupt import Interrupt
from train.logs import check_wandb
from train.memory import check_memory, shortage_explained
from train.model_file import describe_model, load_saved_model, save_model, warn_of_edits
from train.plan import Plan
from train.problem import tracing_note
from train.processes import is_main_process, largest
from train.program import Program
from train.progress import PatientOutput, ProgressDisplay, together
from train.record import Progress, Record
from train.resume import restore_run
from train.run_dir import locked, resumed, run_dir_of, seed_configs
from train.seeds import one_seed
from train.state import TrainState, state_axes

PORTION_S = 1.0
"""Seconds of training between two checks for a signal."""


@shortage_explained()
def train(config: Config, *, resume: bool = False, console: Console | None = None) -> pathlib.Path:
    """Trains, and returns the run directory.

    Args:
      config: what to do.
      resume: go on with the run in ``config.run_dir`` from its newest intact checkpoint, or begin it again where there is
        none.
      console: where progress is shown; default: standard output.

    Raises:
      UserError: the config is impossible, or the run cannot go on.
      Interrupted: one of `stop_signals` came; a checkpoint was written.
    """
    console = console or Console(file=cast(IO[str], PatientOutput()), quiet=not is_main_process())
    config = config.validate()
    run_dir = run_dir_of(config)
    saved = load_config(run_dir, **own_names(config)) if resume else None
    config = config.located() if saved is None else resumed(config, saved)
    taken = next((path for path in _directories(config, run_dir) if (path / CONFIG_FILE).exists()), None)
    if taken and not resume:
        raise UserError(f"{taken} holds a run already: add --resume to go on with it, or name another --run-dir.")
    with user_errors():
        check_jax_settings(COMPILATION)
    if config.wandb and is_main_process():
        check_wandb()
    model = load_saved_model(run_dir) if resume else None
    if note := tracing_note(config):
        say(console, note)
    program = Program(config, model)
    config = program.config  # in which the engine is named
    configs, directories = seed_configs(config, run_dir), _directories(config, run_dir)
    training, env = program.training, program.training.problem.env
    plan = Plan(config, training)
    shapes = program.state_shapes()
    check_memory(program, shapes)
    use_compilation_cache(config.compilation_cache)
    starts = program.draw_starts(program.root, jnp.zeros((), jnp.int32))
    check_starts(starts, config)
    with contextlib.ExitStack() as stack:
        for path in directories if is_main_process() else ():
            stack.enter_context(locked(path))
        interrupt = stack.enter_context(Interrupt(console))
        seeds = f"{config.num_seeds} seeds, " if config.num_seeds > 1 else ""
        if model is not None and is_main_process():
            warn_of_edits(run_dir)
        if resume and is_main_process():
            warn_of_changed_code(run_dir, config)
        say(
            console,
            f"{label(config.agent)} on {label(config.env)}: {seeds}{config.num_envs} worlds, {env.engine_name} physics, "
            f"preset {config.preset}; {describe_model(env, config.env_args, run_dir)}"
            f"run directory {run_dir}\n{plan.describe()}\ncompiling",
        )
        for text in plan.warnings() if is_main_process() else ():
            warn(text)
        advance = program.advance.lower(shapes, jax.ShapeDtypeStruct((), jnp.int32)).compile()
        analysis = advance.memory_analysis()
        memory = check_memory(program, shapes, analysis.temp_size_in_bytes if analysis else 0)
        say(console, f"memory: {memory.describe()}")
        records = [Record(one, training.chunk_steps, training.worlds.pool_size, config.num_seeds > 1) for one in configs]
        state, progress = None, Progress()
        if resume:
            state, progress = restore_run(program, records, console)
        if state is None:
            # Whether there is enough memory shows here.
            state = jax.block_until_ready(program.init(program.root, starts))
        del starts  # frees their memory; otherwise they would be held as long as the run
        for path, one in directories.items() if is_main_process() else ():
            if model is None:
                save_model(path, env)
            one.save(path)
            save_code(path, one)
        return _Run(program, plan, advance, run_dir, records, console, interrupt).train(state, progress)


def _directories(config: Config, run_dir: pathlib.Path) -> dict[pathlib.Path, Config]:
    """The directories of a run and of its seeds, with the config of each. Of one seed the two are the same."""
    return {run_dir: config} | {pathlib.Path(str(one.run_dir)): one for one in seed_configs(config, run_dir)}


class _Run:
    """A run under way.

    Args:
      program: of the run.
      plan: what the run is to make.
      advance: the program's function of this name, compiled.
      run_dir: where everything is written.
      records: of its seeds.
      console: where progress is shown.
      interrupt: says whether to stop.
    """

    def __init__(
        self,
        program: Program,
        plan: Plan,
        advance: Callable[[TrainState, jax.Array], TrainState],
        run_dir: pathlib.Path,
        records: list[Record],
        console: Console,
        interrupt: Interrupt,
    ):
        self.program = program
        self.plan = plan
        self.training = program.training
        self.advance = advance
        self.config = program.config
        self.run_dir = run_dir
        self.records = records
        self.console = console
        self.interrupt = interrupt
        self.portion = 1  # iterations, as many as fit into `PORTION_S`
        self.stalled_s = 0.0  # by checkpoints, since the last log line
        self.signal = 0  # that stops the run

    def train(self, state: TrainState, progress: Progress) -> pathlib.Path:
        """Goes on to the end, or until a signal comes.

        Raises:
          UserError: the run went wrong; there is a checkpoint.
          Interrupted: a signal came; there is a checkpoint.
        """
        display = ProgressDisplay(self.console, self.plan.env_steps, self._env_steps(progress))
        started = time.perf_counter() - progress.wall_s
        try:
            for record in self.records:
                record.open(self._logged_steps(progress))
            with display:
                while not self._is_complete(progress) and not self._is_stopped():
                    state, progress = self._train_chunk(state, progress, display)
                    if progress.iterations < self._iterations_of_chunk(progress):
                        break
                    evaluations = self._evaluate(state, progress)
                    if evaluations is None:
                        break
                    reports = self._each(jax.device_get(self.program.report(state)))
                    metrics = [report | evaluation for report, evaluation in zip(reports, evaluations, strict=True)]
                    progress = dataclasses.replace(progress, wall_s=time.perf_counter() - started)
                    progress = self._write_lines(display, state, progress, metrics)
                    self._save_evidence(state, metrics)
                    reason_to_stop = self._reason_to_stop(metrics)
                    if self._is_due(self.config.checkpoint_steps, progress.chunks) or reason_to_stop:
                        self._save(state, progress)
                    if reason_to_stop:
                        raise UserError(reason_to_stop)
            self._save(state, dataclasses.replace(progress, wall_s=time.perf_counter() - started))
        finally:
            self._close()
        if not self._is_complete(progress):
            self._print_how_to_resume(progress)
            raise Interrupted(self.signal)
        self._print_how_to_score(progress)
        return self.run_dir

    def _train_chunk(self, state: TrainState, progress: Progress, display: ProgressDisplay) -> tuple[TrainState, Progress]:
        """Makes the rest of the chunk under way, or less where a signal comes."""
        program, chunk_iterations = self.program, self._iterations_of_chunk(progress)
        if not progress.iterations:
            number = jnp.asarray(progress.chunks + 1, jnp.int32)
            state = program.begin_chunk(state, program.draw_starts(program.root, number))
        while progress.iterations < chunk_iterations and not self._is_stopped():
            iterations = min(self.portion, chunk_iterations - progress.iterations)
            started = time.perf_counter()
            state = self.advance(state, jnp.asarray(iterations, jnp.int32))
            jax.block_until_ready(state.vector_steps)
            seconds = time.perf_counter() - started
            # A portion is at most twice as long as the one before it.
            self.portion = largest(max(1, min(2 * self.portion, int(iterations * PORTION_S / seconds))))
            progress = dataclasses.replace(
                progress, iterations=progress.iterations + iterations, train_s=progress.train_s + seconds
            )
            display.advance(self._env_steps(progress))
            self._finish_checkpoints()
        return state, progress

    def _is_stopped(self) -> bool:
        """Whether a signal came, to whichever process."""
        self.signal = largest(self.interrupt.signal or 0)
        return self.signal != 0

    def _evaluate(self, state: TrainState, progress: Progress) -> list[dict[str, Any]] | None:
        """The evaluation of each seed, if one is due after the chunk under way; None where a signal comes."""
        number = progress.chunks + 1
        if not self._is_due(self.config.eval_steps, number) and self._env_steps(progress) < self.plan.env_steps:
            return [{} for _ in self.records]
        started = time.perf_counter()
        episodes = self.program.evaluate(self.program.root, state.actor, jnp.asarray(number, jnp.int32))
        while not all(x.is_ready() for x in jax.tree.leaves(episodes)):
            if jax.process_count() == 1 and self._is_stopped():
                return None
            time.sleep(0.01)
        took = {"time/eval_s": time.perf_counter() - started}
        return [_summary(one) | took for one in self._each(jax.device_get(episodes))]

    def _write_lines(
        self, display: ProgressDisplay, state: TrainState, progress: Progress, metrics: list[dict[str, Any]]
    ) -> Progress:
        """Writes the log lines of the chunk that ends here. Returns the progress at the beginning of the next.

        A last chunk that is shorter than the others stays the chunk under way: a run that goes on from its end, because it
        is given more steps, makes the rest of the chunk, and so is the run that had this length from the beginning.
        """
        updates, seconds = int(state.updates), progress.train_s
        if whole := progress.iterations >= self.training.chunk_iterations:
            after = Progress(chunks=progress.chunks + 1, wall_s=progress.wall_s, updates=updates)
        else:
            after = dataclasses.replace(progress, logged=progress.iterations)
        line = {
            "env_steps": self._env_steps(after),
            "updates": updates,
            "wall_s": progress.wall_s,
            "speed/env_steps_per_s": progress.iterations * self.training.iteration_steps / seconds,
            "speed/updates_per_s": (updates - progress.updates) / seconds,
            "time/train_s": seconds,
            "time/checkpoint_s": self.stalled_s,
        }
        self.stalled_s = 0.0
        display.show(together([record.write(line, own, whole) for record, own in zip(self.records, metrics, strict=True)]))
        return after

    def _save_evidence(self, state: TrainState, metrics: list[dict[str, Any]]) -> None:
        """Writes the blow-ups of each seed, if the chunk that ends here had any."""
        for record, blow_ups, own in zip(self.records, self._each(state.envs.blow_ups), metrics, strict=True):
            record.save_evidence(blow_ups, own)

    def _reason_to_stop(self, metrics: list[dict[str, Any]]) -> str | None:
        """Why the run has to stop after this chunk; None if it may go on. It stops as soon as one of its seeds has to."""
        reasons = [record.add_interval(own) for record, own in zip(self.records, metrics, strict=True)]
        return " ".join(filter(None, reasons)) or None

    def _save(self, state: TrainState, progress: Progress) -> None:
        """Begins a checkpoint."""
        started = time.perf_counter()
        self._finish_checkpoints(wait=True)
        if not self.config.checkpoint_replay:
            state = dataclasses.replace(state, replay=())
        axes = state_axes(state, self.training.problem.agent)
        for number, record in enumerate(self.records):
            own = state if len(self.records) == 1 else one_seed(state, axes, number)
            record.save(self._env_steps(progress), own, progress)
        self.stalled_s += time.perf_counter() - started

    def _finish_checkpoints(self, *, wait: bool = False) -> None:
        """Warns of checkpoints that could not be written, and removes old ones when new ones are intact."""
        begun = any(record.checkpoints.writing for record in self.records)
        for record in self.records:
            record.finish_checkpoint(wait=wait)
        if begun and not any(record.checkpoints.writing for record in self.records):
            self._prune()

    def _prune(self) -> None:
        """Removes old checkpoints of several seeds. Only steps that all of them have count as new: a run resumes there."""
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

    def _is_complete(self, progress: Progress) -> bool:
        """Whether all that the run is to make is made and logged."""
        return progress.chunks * self.training.chunk_iterations + progress.logged >= self.plan.iterations

    def _iterations_of_chunk(self, progress: Progress) -> int:
        """How many iterations the chunk under way is to have. The last one may be shorter than the others."""
        left = self.plan.iterations - progress.chunks * self.training.chunk_iterations
        return min(self.training.chunk_iterations, left)

    def _logged_steps(self, progress: Progress) -> int:
        """Environment steps at the last log line that counts. The line of a short chunk does not if the chunk goes on."""
        logged = progress.logged if self._is_complete(progress) else 0
        return progress.chunks * self.training.chunk_steps + logged * self.training.iteration_steps

    def _env_steps(self, progress: Progress) -> int:
        return progress.chunks * self.training.chunk_steps + progress.iterations * self.training.iteration_steps

    def _is_due(self, interval_steps: int, chunks: int) -> bool:
        """Whether an interval, rounded to whole chunks, ends with this chunk."""
        return chunks % max(1, round(interval_steps / self.training.chunk_steps)) == 0

    def _print_how_to_score(self, progress: Progress) -> None:
        run_dir = quoted(self.records[0].run_dir)
        done = f"Done: {self._env_steps(progress)} steps. Score it with:"
        say(self.console, f"{done}\n  {typed('eval.run')} {run_dir}{naming(self.config)}")

    def _print_how_to_resume(self, progress: Progress) -> None:
        say(
            self.console,
            f"Interrupted at {self._env_steps(progress)} steps; the checkpoint is intact. Go on with:\n"
            f"  {typed('train.run')} --run-dir {quoted(self.run_dir)} --resume{naming(self.config)}",
        )


def _summary(episodes: envs.Episodes) -> dict[str, Any]:
    """The metrics of an evaluation."""
    finite = ~episodes.diverged
    if not finite.any():
        return {"eval/diverged": episodes.diverged.sum()}
    return {
        "eval/return_mean": episodes.returns[finite].mean(),
        "eval/return_std": episodes.returns[finite].std(),
        "eval/length_mean": episodes.lengths[finite].mean(),
        "eval/diverged": episodes.diverged.sum(),
    }

"""A run on the host's side: chunks of the training program, and between them logs, evaluations and checkpoints."""

import dataclasses
import datetime
import pathlib
import signal
import time
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console

from train.checkpoint import Checkpoints
from train.config import Config, load_config
from train.divergence import Watch, check_starts
from train.errors import UserError
from train.learner import Learner
from train.logs import Logs
from train.memory import check_memory
from train.progress import ProgressDisplay
from train.state import TrainState

FREE_TO_CHANGE = {
    "preset",
    "total_steps",
    "eval_steps",
    "checkpoint_steps",
    "eval_episodes",
    "run_dir",
    "keep_checkpoints",
    "max_diverged",
    "max_skipped",
    "compilation_cache",
    "wandb",
}
"""Fields that may differ when a run is resumed; every other one is part of what the checkpoint means."""


class Interrupt:
    """Turns Ctrl-C and SIGTERM into a flag that is polled between chunks; a second signal stops at once."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def train(config: Config, *, resume: bool = False, console: Console | None = None) -> pathlib.Path:
    """Trains, and returns the run directory.

    Args:
      config: what to do.
      resume: continue the run in ``config.run_dir`` from its newest checkpoint.
      console: where progress goes; default: standard output.

    Raises:
      UserError: the config cannot be, or the run cannot go on; one sentence.
      KeyboardInterrupt: interrupted; a checkpoint was written unless the signal came twice.
    """
    console = console or Console()
    config = config.validate()
    run_dir = _run_dir(config)
    checkpoints = Checkpoints(run_dir, config.keep_checkpoints)
    if resume:
        _check_same_run(config, load_config(run_dir))
        checkpoints.resolve(None)
    elif (run_dir / "config.json").exists():
        raise UserError(f"{run_dir} holds a run already: add --resume to go on with it, or name another --run-dir.")
    learner = Learner(config)
    check_memory(learner)
    use_compilation_cache(config.compilation_cache)

    if resume:
        state = checkpoints.restore(learner.state_shapes())
    else:
        root = jax.random.key(config.seed)
        pool = learner.draw_pool(root, jnp.zeros((), jnp.int32))
        check_starts(pool, config)
        _create(run_dir)
        state = learner.init(root, pool)
    config.save(run_dir)
    return _run(learner, state, run_dir, checkpoints, console)


def _run(
    learner: Learner, state: TrainState, run_dir: pathlib.Path, checkpoints: Checkpoints, console: Console
) -> pathlib.Path:
    config = learner.config
    root = jax.random.key(config.seed)
    chunk_steps = learner.chunk_iterations * config.num_envs
    env_steps = int(state.iterations) * config.num_envs
    chunks = env_steps // chunk_steps
    last_chunk = -(-config.total_steps // chunk_steps)
    logs = Logs(run_dir, env_steps, dataclasses.asdict(config) if config.wandb else None)
    totals = {name: logs.last.get(name) or 0 for name in ("wall_s", "updates", "safety/diverged_total")}
    watch = Watch(config, run_dir, chunk_steps, learner.worlds.pool_size)
    wall_origin = time.perf_counter() - totals["wall_s"]
    console.print(
        f"{config.agent} on {config.env}: {config.num_envs} worlds, {learner.env.engine} physics, preset {config.preset}; "
        f"run directory {run_dir}",
        soft_wrap=True,
    )
    try:
        with Interrupt() as interrupt, ProgressDisplay(console, last_chunk * chunk_steps, env_steps) as display:
            while chunks < last_chunk and not interrupt.requested:
                started = time.perf_counter()
                state, metrics = learner.train_chunk(state, learner.draw_pool(root, jnp.asarray(chunks + 1, jnp.int32)))
                metrics = jax.device_get(metrics)
                trained = time.perf_counter()

                chunks += 1
                env_steps = chunks * chunk_steps
                updates = learner.loop.updates_until(chunks * learner.chunk_iterations)
                seconds = trained - started
                metrics |= {
                    "speed/env_steps_per_s": chunk_steps / seconds,
                    "speed/updates_per_s": (updates - totals["updates"]) / seconds,
                    "time/train_s": seconds,
                }
                totals["updates"] = updates
                totals["safety/diverged_total"] += int(metrics["safety/diverged"])
                if _due(config.eval_steps, chunks, chunk_steps) or chunks == last_chunk:
                    metrics |= _evaluation(learner, state, chunks)
                    metrics["time/eval_s"] = time.perf_counter() - trained
                done = chunks == last_chunk or interrupt.requested
                reason_to_stop = watch.look(state, metrics)
                saving = time.perf_counter()
                if _due(config.checkpoint_steps, chunks, chunk_steps) or done or reason_to_stop:
                    checkpoints.save(env_steps, state)
                    metrics["time/checkpoint_s"] = time.perf_counter() - saving
                totals["wall_s"] = time.perf_counter() - wall_origin
                display.show(logs.write({"env_steps": env_steps, **totals, **metrics}))
                if reason_to_stop:
                    raise UserError(reason_to_stop)
    finally:
        logs.close()
    resume = f"python -m train.run --run-dir {run_dir} --resume"
    if chunks < last_chunk:
        console.print(f"Interrupted at {env_steps} steps; the checkpoint is whole. Go on with:\n  {resume}", soft_wrap=True)
        raise KeyboardInterrupt
    console.print(f"Done: {env_steps} steps. Score it with:\n  python -m eval.run {run_dir}", soft_wrap=True)
    return run_dir


def _evaluation(learner: Learner, state: TrainState, number: int) -> dict[str, Any]:
    episodes = jax.device_get(
        learner.evaluate(jax.random.key(learner.config.seed), state.actor, jnp.asarray(number, jnp.int32))
    )
    whole = ~episodes.diverged
    if not whole.any():
        return {"eval/diverged": episodes.diverged.sum()}
    return {
        "eval/return_mean": episodes.returns[whole].mean(),
        "eval/return_std": episodes.returns[whole].std(),
        "eval/length_mean": episodes.lengths[whole].mean(),
        "eval/diverged": episodes.diverged.sum(),
    }


def _due(interval_steps: int, chunks: int, chunk_steps: int) -> bool:
    """Whether an interval, rounded to whole chunks, ends with this chunk."""
    return chunks % max(1, round(interval_steps / chunk_steps)) == 0


def _run_dir(config: Config) -> pathlib.Path:
    if config.run_dir is not None:
        return pathlib.Path(config.run_dir).expanduser()
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    env = config.env.replace("/", "-")
    return pathlib.Path("runs") / f"{env}-{config.agent}-{now}"


def _create(run_dir: pathlib.Path) -> None:
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        probe = run_dir / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"The run directory {run_dir} cannot be written: {error.strerror}.") from error


def _check_same_run(config: Config, saved: Config) -> None:
    for field in dataclasses.fields(Config):
        now, before = getattr(config, field.name), getattr(saved, field.name)
        if now != before and field.name not in FREE_TO_CHANGE:
            raise UserError(f"--resume goes on with a run whose {field.name} is {before!r}; it cannot become {now!r}.")


def use_compilation_cache(folder: str | None) -> None:
    """Keeps compiled programs in ``folder`` between processes; None for no cache."""
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(folder).expanduser()))

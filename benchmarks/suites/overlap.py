"""The suite ``overlap``: physics and gradient steps at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import envs
from benchmarks.engines import stepper
from benchmarks.measuring import Row, fastest
from benchmarks.updates import program
from train.config import Config
from train.presets import preset


def measure(full: bool) -> Iterator[Row]:
    """What is gained by doing physics and gradient steps at the same time, each in a thread of its own: an upper bound.

    A schedule in which learning lags one step behind could save no more, since here neither waits for the other. The project
    has no such schedule. It was tried as one program, in which the batches are drawn before the new row is there, so that
    the gradient steps do not need the physics; on a CPU that program was half as fast.
    """
    for task in ("humanoid", "hopper") if full else ("hopper",):
        yield from _overlapping(preset("auto", task, "sac"), steps=100)


def _overlapping(config: Config, steps: int) -> Iterator[Row]:
    step = stepper(envs.make(config.env, physics="auto"), config.num_envs)
    updates, every = config.update_schedule
    learn = program(config.preset, config.env, config.agent, config.batch_size, steps // every * updates).run

    def one_after_the_other() -> None:
        step(steps)
        learn()

    def at_once() -> None:
        with ThreadPoolExecutor(2) as threads:
            for future in [threads.submit(step, steps), threads.submit(learn)]:
                future.result()

    apart, together = fastest(one_after_the_other, at_once, repeats=5)
    case = f"{config.agent} on {config.env}, {config.num_envs} worlds"
    yield Row(f"{case}: one after the other", steps / apart, "iterations/s")
    yield Row(f"{case}: at once", steps / together, "iterations/s")
    yield Row(f"{case}: gain", apart / together, "")

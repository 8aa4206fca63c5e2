"""``python -m benchmarks.engines``: speed of the physics engines, over tasks and numbers of worlds.

Only the step of `VectorEnv` is measured, with random actions and automatic resets; there is no agent. On a CPU the figures
of one run can be compared with each other, but hardly with those of another machine.
"""

import dataclasses
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import tyro

import envs
from benchmarks.choices import EngineName, named_tasks
from benchmarks.report import Report, describe
from envs.command import run_command, user_errors
from train.compilation_cache import use_compilation_cache
from train.config import Config

PROGRAM = "python -m benchmarks.engines"


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure environment steps per second."""

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """task to measure; may be repeated; default: one task for every body of Gymnasium's"""
    engines: tuple[EngineName, ...] = ("native", "mjx", "warp")
    """engines to measure; a task is measured on those of them that it runs on"""
    worlds: tuple[int, ...] = (1, 16, 256, 4096)
    """numbers of worlds"""
    seconds: float = 2.0
    """least time of a measurement"""
    limit: float = 30.0
    """longest time that one step of all worlds may be expected to take; what is slower is not measured (s)"""
    json: pathlib.Path | None = None
    """file to write the figures to; tasks and engines in it that are not measured now are kept"""
    markdown: pathlib.Path | None = None
    """file to write the tables to, made from all that is in the JSON file"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    names = named_tasks(args.task, (name for name in envs.GYMNASIUM_TASKS if "-" not in name))
    report = Report(PROGRAM, args)
    use_compilation_cache(Config.compilation_cache)
    for name in names:
        for engine in (engine for engine in args.engines if engine in envs.task(name).engines):
            with user_errors():
                task = envs.make(name, physics=engine)
            row = {"task": name, "engine": engine, "substeps": task.substeps}
            report.add(f"{name}, {engine}", row | {"env_steps_per_s": rate_by_worlds(task, args)})
        print(*_table(name, report.rows(task=name)), sep="\n", flush=True)
    report.save_page(page(report))


def page(report: Report) -> str:
    """The tables as a page of the documentation."""
    machines = dict.fromkeys(describe(section["environment"]) for section in report.sections.values())
    lines = [_HEAD.format(machine="; ".join(machines))]
    for name in dict.fromkeys(row["task"] for row in report.rows()):
        lines += ["", f"## {name}", "", *_table(name, report.rows(task=name))]
    return "\n".join(lines) + "\n"


_HEAD = """\
# Speed of the physics engines

Written by `python -m benchmarks.engines --json benchmarks/results/engines.json --markdown docs/engines.md`,
on {machine}.

The figures are environment steps per second of all worlds together, and in brackets physics steps, with random actions and
automatic resets; there is no agent. A dash means that one step of all worlds would have taken longer than the limit. Compare
the figures of one table with each other. They can hardly be compared with those of another machine."""


def _table(name: str, measured: list[dict[str, Any]]) -> list[str]:
    worlds = list(measured[0]["env_steps_per_s"]) if measured else []
    lines = [f"| {name}, worlds | {' | '.join(worlds)} |", f"|---|{'---|' * len(worlds)}"]
    for found in measured:
        rates = found["env_steps_per_s"].values()
        cells = (f"{rate:,.0f} ({rate * found['substeps']:,.0f})" if rate else "-" for rate in rates)
        lines.append(f"| {found['engine']} | {' | '.join(cells)} |")
    return lines


def rate_by_worlds(task: envs.MujocoTask, args: Args) -> dict[str, float | None]:
    """Environment steps per second of all worlds together; None where a step is expected to take too long."""
    rates: dict[str, float | None] = {}
    measured: list[tuple[int, float]] = []
    for n in args.worlds:
        if measured and _expected(measured, n) > args.limit:
            rates[str(n)] = None
            continue
        seconds = seconds_per_step(task, n, args.seconds)
        measured.append((n, seconds))
        rates[str(n)] = n / seconds
    return rates


def _expected(measured: list[tuple[int, float]], worlds: int) -> float:
    """Seconds that a step of this many worlds should take, on the line through the last two measurements."""
    (n, seconds), (fewer, less) = measured[-1], measured[-2] if len(measured) > 1 else (0, measured[-1][1])
    return seconds + (seconds - less) / (n - fewer) * (worlds - n)


def seconds_per_step(task: envs.MujocoTask, num_envs: int, least: float) -> float:
    """Seconds that one step of all worlds takes, measured over at least ``least`` seconds."""
    run = stepper(task, num_envs)
    steps = 1
    while True:
        started = time.perf_counter()
        run(steps)
        seconds = time.perf_counter() - started
        if seconds >= least:
            return seconds / steps
        steps = max(steps + 1, min(10 * steps, int(1.2 * steps * least / max(seconds, 1e-6))))


def stepper(task: envs.MujocoTask, num_envs: int) -> Callable[[int], None]:
    """Compiles a function that steps all worlds a number of times, with random actions and automatic resets, and waits."""
    worlds = envs.VectorEnv(task, num_envs, min(num_envs, 256))

    @jax.jit
    def program(state: Any, key: jax.Array, steps: jax.Array) -> Any:
        def step(i: jax.Array, state: Any) -> Any:
            action = jax.random.uniform(jax.random.fold_in(key, i), (num_envs, task.action_size), minval=-1.0)
            return worlds.step(state, action)[0]

        return jax.lax.fori_loop(0, steps, step, state)

    state = jax.jit(worlds.reset)(jax.jit(worlds.draw_starts)(jax.random.key(0)))
    key = jax.random.key(1)

    def run(steps: int) -> None:
        nonlocal state, key
        key, now = jax.random.split(key)
        state = jax.block_until_ready(program(state, now, jnp.int32(steps)))

    run(1)  # compiles
    return run


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

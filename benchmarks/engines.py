"""``python -m benchmarks.engines``: speed of the physics engines, over tasks and numbers of worlds.

Random actions, automatic resets, no agent: the step of `VectorEnv` alone. On a CPU the figures of one run can be compared
with each other, and hardly with those of another machine.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import tyro

import envs
from benchmarks.report import describe, open_report, save_report
from train.config import Config
from train.loop import use_compilation_cache


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure environment steps per second."""

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """task to measure; may be repeated; default: every body of Gymnasium's"""
    engines: tuple[str, ...] = ("native", "mjx", "warp")
    """engines to measure; a task's table has those of them that it runs on"""
    worlds: tuple[int, ...] = (1, 16, 256, 4096)
    """numbers of worlds"""
    seconds: float = 2.0
    """least time of a measurement"""
    limit: float = 30.0
    """longest time that one step of all worlds may be expected to take; slower cells are left out (s)"""
    json: pathlib.Path | None = None
    """file to write; tasks already in it that are not measured now are kept"""
    markdown: pathlib.Path | None = None
    """file to write the tables to, made from all that is in the JSON file"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    report = open_report(args.json)
    use_compilation_cache(Config.compilation_cache)
    for name in args.task or tuple(name for name in envs.GYMNASIUM_TASKS if "-" not in name):
        for engine in (engine for engine in args.engines if engine in envs.task(name).engines):
            task = envs.make(name, physics=engine)
            rates = rate_by_worlds(task, args)
            report["tasks"].setdefault(name, {})[engine] = {"substeps": task.substeps, "env_steps_per_s": rates}
            save_report(report, args.json)
        print(*_table(name, report["tasks"][name]), sep="\n", flush=True)
    if args.markdown is not None:
        args.markdown.write_text(page(report))


def page(report: dict[str, Any]) -> str:
    """The tables as a page of the documentation."""
    lines = [_HEAD.format(machine=describe(report["environment"]))]
    for name, measured in report["tasks"].items():
        lines += ["", f"## {name}", "", *_table(name, measured)]
    return "\n".join(lines) + "\n"


_HEAD = """\
# Speed of the physics engines

Written by `python -m benchmarks.engines --json benchmarks/results/engines.json --markdown docs/engines.md`,
on {machine}.

Environment steps per second of all worlds together, and in brackets physics steps: random actions, automatic resets, no
agent. A dash stands for a step of all worlds that would have taken longer than the limit. Compare the figures of one table
with each other, and hardly with those of another machine."""


def _table(name: str, measured: dict[str, Any]) -> list[str]:
    worlds = list(next(iter(measured.values()))["env_steps_per_s"])
    lines = [f"| {name}, worlds | {' | '.join(worlds)} |", f"|---|{'---|' * len(worlds)}"]
    for engine, found in measured.items():
        rates = found["env_steps_per_s"].values()
        cells = (f"{rate:,.0f} ({rate * found['substeps']:,.0f})" if rate else "-" for rate in rates)
        lines.append(f"| {engine} | {' | '.join(cells)} |")
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
    """Seconds that a step of so many worlds should take, on the line through the last two measurements."""
    (n, seconds), (fewer, less) = measured[-1], measured[-2] if len(measured) > 1 else (0, measured[-1][1])
    return seconds + (seconds - less) / (n - fewer) * (worlds - n)


def seconds_per_step(task: envs.MujocoTask, num_envs: int, least: float) -> float:
    """Seconds that one step of all worlds takes, over at least ``least`` seconds."""
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
    """A compiled program, which steps all worlds so many times and waits for it: random actions, automatic resets."""
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
    main(tyro.cli(Args, prog="python -m benchmarks.engines"))

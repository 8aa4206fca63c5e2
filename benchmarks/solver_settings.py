"""``python -m benchmarks.solver_settings``: how many solver iterations MJX needs to equal C MuJoCo, task by task.

These are the numbers behind `MujocoTask.mjx_iterations`. From each of many states C MuJoCo makes one environment step with
the model's own solver, and MJX makes it with several settings (iterations, line-search steps), under the same control. The
states come from a random policy, from an energetic one (full-amplitude sinusoids), from what follows a fall when nobody
resets the body, and from the trained policy of a run directory of that task (``--run``). To show which errors are those of
float32, C MuJoCo also starts from states that are off by a float32 rounding.
"""

import dataclasses
import operator
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import jax
import mujoco
import numpy as np
import tyro

import envs
from benchmarks.choices import named_tasks
from benchmarks.report import Report
from benchmarks.states import rounded, state_sets
from envs.command import run_command
from envs.engines import NativeEngine
from envs.own_code import as_own_code
from eval.restore import restore

PROGRAM = "python -m benchmarks.solver_settings"

SETTINGS = ((1, 4), (2, 6), (4, 8), (8, 8), (8, 16), (20, 8), (20, 20), (100, 50))
REFERENCE = (100, 50)
WORLDS = 64
"""Worlds stepped side by side: one compilation serves the errors and the speed."""
ROUNDINGS = 16
"""How often each state is rounded anew."""
QUANTITIES = ("qpos", "qvel", "obs", "reward")


@dataclasses.dataclass(frozen=True)
class Args:
    """Errors of MJX against C MuJoCo over one environment step, and its speed, per solver setting."""

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """task to measure; may be repeated; default: all tasks of Gymnasium's"""
    states: int = 200
    """states in each set"""
    run: Annotated[tuple[pathlib.Path, ...], tyro.conf.UseAppendAction] = ()
    """run directory whose trained policy gives another set of states of its task; may be repeated"""
    json: pathlib.Path | None = None
    """file to write the figures to; tasks in it that are not measured now are kept"""
    markdown: pathlib.Path | None = None
    """file to write the tables to, made from all that is in the JSON file"""
    settings: tuple[tuple[int, int], ...] = SETTINGS
    """pairs of solver iterations and line-search steps to try; the reference, 100 and 50, is always tried"""
    seed: int = 0
    """seed of the states and controls"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    names = named_tasks(args.task, envs.GYMNASIUM_TASKS)
    report = Report(PROGRAM, args)
    policies = {}
    own = names[0] if len(names) == 1 and as_own_code(names[0]) else None  # --task names the code that --run needs
    for run_dir in args.run:
        restored = restore(run_dir, env=own)
        policies[restored.problem.config.env] = restored.policy
    clock = "core seconds" if jax.default_backend() == "cpu" else "wall seconds"
    for name in names:
        measured = measure(name, args, policies.get(name))
        report.add(name, {"task": name, "worlds": WORLDS, "seconds": clock, **measured})
        print(*table(name, measured), sep="\n", flush=True)
    report.save_page(page(report))


def measure(name: str, args: Args, trained: Callable[[jax.Array], jax.Array] | None = None) -> dict[str, Any]:
    """Errors and speeds of one task at every setting."""
    native = envs.make(name, physics="native")
    sets = state_sets(native, args.states, args.seed, trained)
    expected = {label: _step(native, *states)[0] for label, states in sets.items()}

    result: dict[str, Any] = {"states": args.states, "scale": {}, "settings": []}
    for label, after in expected.items():
        result["scale"][label] = {q: float(np.abs(after[q]).max()) for q in QUANTITIES}

    newton = envs.make(name, physics="native")
    model = newton.engine.model.__copy__()
    model.opt.solver, model.opt.iterations, model.opt.ls_iterations = mujoco.mjtSolver.mjSOL_NEWTON, *REFERENCE
    newton.engine = NativeEngine(model, newton.reads, newton.current)
    result["native_newton"] = {label: _errors(_step(newton, *sets[label])[0], expected[label]) for label in sets}

    rng = np.random.default_rng(args.seed)
    result["native_rounded"] = {label: _rounded(native, *sets[label], expected[label], rng) for label in sets}

    at_reference: dict[str, dict[str, np.ndarray]] = {}
    for iterations, ls_iterations in sorted({*args.settings, REFERENCE}, reverse=True):
        solver = envs.SolverConfig(iterations=iterations, ls_iterations=ls_iterations)
        task = envs.make(name, physics="mjx", solver=solver)
        row: dict[str, Any] = {
            "iterations": iterations,
            "ls_iterations": ls_iterations,
            "errors": {},
            "to_reference": {},
        }
        step, seconds = jax.jit(jax.vmap(task.step)), []
        for label, states in sets.items():
            after, took = _step(task, *states, step=step)
            seconds += took
            at_reference.setdefault(label, after)
            row["errors"][label] = _errors(after, expected[label])
            row["to_reference"][label] = _errors(after, at_reference[label])
        row["env_steps_per_s"] = WORLDS / float(np.mean(seconds))
        result["settings"].append(row)
    for row in result["settings"]:
        row["speed_ratio"] = row["env_steps_per_s"] / result["settings"][0]["env_steps_per_s"]
    result["settings"].reverse()
    return result


def page(report: Report) -> str:
    """The tables as a page of the documentation."""
    by_task = {row["task"]: row for row in report.rows()}
    how = {name: " or ".join(dict.fromkeys(str(row[name]) for row in by_task.values())) for name in ("worlds", "seconds")}
    lines = [_HEAD.format(**how)]
    for name in (name for name in envs.TASKS if name in by_task):
        measured = by_task[name]
        sets = ", ".join(measured["scale"])
        lines += ["", f"## {name}", "", f"{measured['states']} states in each set: {sets}.", "", *table(name, measured)]
    return "\n".join(lines) + "\n"


_HEAD = """\
# Solver settings of MJX

Written by `python -m benchmarks.solver_settings --json benchmarks/results/solver_settings.json --markdown
docs/solver_settings.md`; what follows from it is in [physics.md](physics.md#solver-settings-of-mjx).

A setting is a pair of solver iterations and line-search steps; the task's own is bold. Each cell gives the largest error and
the 99th percentile over states, in the worst of the sets (m, rad; m/s, rad/s). A state's error is that of its worst
coordinate. In the row *C MuJoCo, state rounded* C MuJoCo itself starts from states that are off by a float32 rounding; in
the row *Newton* C MuJoCo uses MJX's solver. The speed is that of {worlds} worlds, in steps per second ({seconds}). Rely on
the ratios rather than on the speeds, and expect about a tenth of noise."""


def table(name: str, measured: dict[str, Any]) -> list[str]:
    """The lines of a Markdown table: the largest and the 99th percentile error over all states."""
    columns = [*QUANTITIES, "qvel to 100/50", "env steps/s", "ratio"]
    lines = [f"| {name} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    own = "{} / {}".format(*envs.task(name).mjx_iterations)

    def cells(errors: dict[str, Any]) -> str:
        worst = [[max(errors[label][q][stat] for label in errors) for stat in ("max", "p99")] for q in QUANTITIES]
        return " | ".join(f"{high:.0e} / {p99:.0e}" for high, p99 in worst)

    for label, row in (("C MuJoCo, Newton", "native_newton"), ("C MuJoCo, state rounded", "native_rounded")):
        if row in measured:
            lines.append(f"| {label} | {cells(measured[row])} | | | |")
    for row in measured["settings"]:
        apart = max(errors["qvel"]["max"] for errors in row["to_reference"].values())
        setting = f"{row['iterations']} / {row['ls_iterations']}"
        lines.append(
            f"| {f'**{setting}**' if setting == own else setting} | {cells(row['errors'])} | {apart:.0e} "
            f"| {row['env_steps_per_s']:.0f} | {row['speed_ratio']:.1f} |"
        )
    return lines


def _step(
    task: envs.MujocoTask, states: envs.State, actions: jax.Array, step: Any = None
) -> tuple[dict[str, np.ndarray], list[float]]:
    """One environment step of all states, `WORLDS` at a time, and the seconds that each batch took."""
    step = step or jax.jit(jax.vmap(task.step))
    # On a CPU: the time that the cores spent on it, which does not count what else the machine does.
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    n = actions.shape[0]
    batches, seconds = [], []
    for start in range(0, n, WORLDS):
        index = np.minimum(np.arange(start, start + WORLDS), n - 1)
        batch = jax.tree.map(operator.itemgetter(index), (states, actions))
        if start == 0:
            jax.block_until_ready(step(*batch))  # compile
        before = clock()
        after = jax.block_until_ready(step(*batch))
        seconds.append(clock() - before)
        batches.append((after.physics.qpos, after.physics.qvel, after.obs, after.reward[:, None]))
    return {q: np.concatenate(x)[:n] for q, x in zip(QUANTITIES, zip(*batches, strict=True), strict=True)}, seconds


def _rounded(
    task: envs.MujocoTask, states: envs.State, actions: jax.Array, expected: dict[str, np.ndarray], rng: np.random.Generator
) -> dict[str, dict[str, float]]:
    """Errors of C MuJoCo from states that are off by a rounding, the largest of `ROUNDINGS` tries for each state."""
    step = jax.jit(jax.vmap(task.step))
    worst = {q: np.zeros_like(x) for q, x in expected.items()}
    for _ in range(ROUNDINGS):
        after, _ = _step(task, rounded(states, rng), actions, step=step)
        worst = {q: np.maximum(worst[q], np.abs(after[q] - expected[q])) for q in worst}
    return _errors(worst, {q: np.zeros_like(x) for q, x in worst.items()})


def _errors(after: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """By quantity: maximum, 99th percentile and median over states. A state's error is the largest over its coordinates."""
    errors = {q: np.abs(after[q] - expected[q]).max(axis=1) for q in QUANTITIES}
    return {
        q: {"max": float(e.max()), "p99": float(np.quantile(e, 0.99)), "median": float(np.median(e))}
        for q, e in errors.items()
    }


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

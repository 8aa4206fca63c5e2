"""``python -m benchmarks.learning``: how the agents learn on the same tasks with the same budget, in several seeds.

Every pair of a task and an agent becomes one file of logs: a JSON object for each interval, whose values are lists over
seeds. A pair that has a file already is not trained again, so the command can be stopped and repeated. The page of tables
(``--markdown``) and a figure for each agent (``--figures``) are made from all the files together.
"""

import dataclasses
import json
import pathlib
import sys
import time
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import scipy.stats
import tyro

from benchmarks.choices import chosen, file_stem, named_tasks, split_choices
from benchmarks.report import check_writable, environment
from envs.command import UserError, run_command
from mjx_tecrl import AGENTS
from train.files import replace_file
from train.program import Program

PROGRAM = "python -m benchmarks.learning"

STEPS = {"inverted_double_pendulum": 96_000, "hopper": 128_000, "half_cheetah": 128_000}
"""Environment steps of one seed, by task."""
INTERVALS = 20
"""Log lines. Every second one has an evaluation."""
LOGS = pathlib.Path(__file__).parent / "results" / "learning"


@dataclasses.dataclass(frozen=True)
class Args:
    """Train agents on tasks and tabulate what they reach."""

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """task to learn; may be repeated; default: inverted_double_pendulum, hopper, half_cheetah"""
    agent: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """agent to train, with choices of its own if need be, such as dsac_e:rho=20,critics=5; may be repeated; default: all"""
    steps: int | None = None
    """environment steps of one seed; default: the task's"""
    seeds: int = 3
    """seeds, trained side by side"""
    logs: pathlib.Path = LOGS
    """folder of the logs"""
    markdown: pathlib.Path | None = None
    """file to write the tables to, made from all that is in the folder"""
    figures: pathlib.Path | None = None
    """folder to write a figure per agent to, made from all that is in the folder"""


def main(args: Args) -> None:
    """Trains what is missing; then writes what was asked for."""
    tasks, agents = named_tasks(args.task, STEPS), args.agent or tuple(AGENTS)
    if other := next((task for task in tasks if task not in STEPS and args.steps is None), None):
        raise UserError(f"{other} has no number of steps of its own here: give --steps.")
    for agent in agents:
        chosen("quick", tasks[0], agent)  # or else a wrong name would show only after training
    for folder in filter(None, (args.logs, args.figures)):
        make_folder(folder)
    for file in filter(None, (args.logs / "any", args.markdown)):
        check_writable(file)
    for task in tasks:
        for agent in agents:
            path = args.logs / f"{file_stem(task, agent)}.jsonl"
            if not path.exists():
                lines = learn(task, agent, args.steps or STEPS[task], args.seeds)
                replace_file(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
            print(task, agent, *(f"{x:.1f}" for x in read(path)[-1]["eval/return_mean"]), flush=True)
    results = {path.stem: read(path) for path in sorted(args.logs.glob("*.jsonl"))}
    if args.markdown:
        replace_file(args.markdown, page(results).encode())
    if args.figures:
        draw(results, args.figures)


def make_folder(folder: pathlib.Path) -> None:
    """Makes a folder where there is none.

    Raises:
      UserError: it cannot be made; one sentence.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.") from error


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of one file of logs; the first says what was run, and where."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def learn(task: str, agent: str, steps: int, seeds: int) -> list[dict[str, Any]]:
    """Trains one agent on one task; returns a line that says what was run, and then a line for each interval."""
    config = dataclasses.replace(
        chosen("quick", task, agent, total_steps=steps),
        log_steps=steps // INTERVALS,
        eval_episodes=10,
        num_seeds=seeds,
    ).validate()
    program = Program(config)
    state = program.fresh_state()
    chunk_steps = program.training.chunk_steps
    args = dataclasses.asdict(config.agent_args)
    lines = [{"task": task, "agent": agent, "seeds": seeds, "agent_args": args, "environment": environment()}]
    train_s = 0.0
    for chunk in range(1, -(-steps // chunk_steps) + 1):
        started = time.perf_counter()
        state, metrics = jax.block_until_ready(program.train_chunk(state, chunk))
        train_s += time.perf_counter() - started
        env_steps = chunk * chunk_steps
        line: dict[str, Any] = {
            "env_steps": env_steps,
            "updates": int(state.updates),
            "train_s": round(train_s, 2),
        }
        if chunk % 2 == 0 or env_steps >= steps:
            episodes = program.evaluate(program.root, state.actor, jnp.asarray(chunk, jnp.int32))
            metrics["eval/return_mean"] = jnp.nanmean(jnp.where(episodes.diverged, jnp.nan, episodes.returns), -1)
            metrics["eval/length_mean"] = episodes.lengths.mean(-1)
        lines.append(line | {name: _plain(value) for name, value in metrics.items()})
    return lines


def _plain(value: jax.Array) -> Any:
    """Numbers that JSON knows, to six digits."""
    array = np.asarray(value, np.float64)
    if array.ndim:
        return [_plain(x) for x in array]
    return float(f"{array:.6g}") if np.isfinite(array) else None


def interval(values: list[float]) -> tuple[float, float]:
    """Mean over seeds, and half the width of its 95 % interval (Student's t)."""
    x = np.asarray(values)
    return float(x.mean()), float(scipy.stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))


def page(results: dict[str, list[dict[str, Any]]]) -> str:
    """The tables as a page of the documentation."""
    blocks = [_HEAD]
    for task in STEPS:
        ours = {lines[0]["agent"]: lines for lines in results.values() if lines[0]["task"] == task}
        rows = [_row(agent, ours[agent]) for agent in sorted(ours, key=_place)]
        if rows:
            blocks.append(f"## {task}\n\n{_COLUMNS}" + "\n".join(rows))
    return "\n\n".join(blocks) + "\n"


def _place(agent: str) -> tuple[int, str]:
    """A key to sort by: agents in the order of the registry, each followed by its variants with choices."""
    name, _ = split_choices(agent)
    return list(AGENTS).index(name) if name in AGENTS else len(AGENTS), agent


def _row(agent: str, lines: list[dict[str, Any]]) -> str:
    last = lines[-1]
    mean, half = interval(last["eval/return_mean"])
    best = max(interval(line["eval/return_mean"])[0] for line in lines if "eval/return_mean" in line)
    seeds = ", ".join(f"{x:.0f}" for x in last["eval/return_mean"])
    figures = f"{mean:.0f} ± {half:.0f} | {seeds} | {best:.0f} | {last['env_steps']:,} | {last['updates']:,}"
    name, choices = split_choices(agent)
    shown = f"`{name}` {choices}" if choices or name not in AGENTS else f"[`{name}`](agents/{name}.md)"
    return f"| {shown} | {figures} | {last['train_s']:.0f} |"


_COLUMNS = """\
| agent | return: mean, 95 % interval | its seeds | best mean on the way | steps per seed | updates per seed | training (s) |
|---|---|---|---|---|---|---|
"""

_HEAD = """\
# How the agents learn

Written by `python -m benchmarks.learning --markdown docs/learning.md --figures docs/results/learning`; the raw logs are in
`benchmarks/results/learning/`.

The preset is `quick`, the physics native, and three seeds train in one program. The return is that of the last evaluation
(10 episodes of the deterministic policy for each seed). The interval is Student's over seeds; with three seeds it is wide.
The seconds are those of all three seeds together, on one core shared with other work, with compilation and without
evaluation. The budget is a small fraction of what the papers train for: the table says which agent learns early, not which
is best in the end. An agent that is missing from a table has not been run on that task."""


def draw(results: dict[str, list[dict[str, Any]]], folder: pathlib.Path) -> None:
    """Draws a figure for each agent into a folder that is there.

    It shows the agent's seeds and their mean, with the means of the other agents in the background. An agent that was also
    trained with choices of its own gets a second figure of these variants.
    """
    agents = sorted({lines[0]["agent"] for lines in results.values()}, key=_place)
    named = [agent for agent in agents if ":" not in agent]
    for agent in named:
        _figure(folder / f"{agent}.png", results, [agent], [other for other in named if other != agent])
        choices = [other for other in agents if other.startswith(f"{agent}:")]
        if choices:
            _figure(folder / f"{agent}-choices.png", results, [agent, *choices], [])


def _figure(path: pathlib.Path, results: dict[str, list[dict[str, Any]]], shown: list[str], others: list[str]) -> None:
    figure, axes = plt.subplots(1, len(STEPS), figsize=(11, 2.8), layout="constrained")
    for axis, task in zip(axes, STEPS, strict=True):
        axis.set(title=task, xlabel="thousands of environment steps")
        runs = {lines[0]["agent"]: lines for lines in results.values() if lines[0]["task"] == task}
        for agent in (agent for agent in [*others, *shown] if agent in runs):
            evaluated = [line for line in runs[agent][1:] if "eval/return_mean" in line]
            steps = [line["env_steps"] / 1000 for line in evaluated]
            returns = np.array([line["eval/return_mean"] for line in evaluated], float)
            if agent in others:
                axis.plot(steps, returns.mean(1), color="0.8", linewidth=0.8)
                continue
            color = f"C{shown.index(agent)}"
            axis.plot(steps, returns, color=color, alpha=0.35, linewidth=0.8)
            axis.plot(steps, returns.mean(1), color=color, label=agent)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper left", frameon=False, fontsize="small")
    axes[0].set_ylabel("return of the policy's mean")
    figure.savefig(path, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

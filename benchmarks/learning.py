"""How the agents learn: all of them on the same tasks, with the same budget, several seeds in one ``vmap``.

``python -m benchmarks.learning --task hopper --agent sac --agent dsac_e:rho=20,critics=5``

Every pair of a task and an agent becomes one file of logs, a JSON object per interval whose values are lists over seeds;
pairs that have a file already are left out, so that the command can be stopped and given again. From all the files together
come the page of tables (``--markdown``) and a figure per agent (``--figures``).
"""

import dataclasses
import json
import pathlib
import time
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import scipy.stats
import tyro

from benchmarks.choices import chosen
from benchmarks.report import environment
from mjx_tecrl import AGENTS
from train.program import Program

STEPS = {"inverted_double_pendulum": 96_000, "hopper": 128_000, "half_cheetah": 128_000}
"""environment steps of one seed, by task"""
INTERVALS = 20
"""log lines, of which every second has an evaluation"""
LOGS = pathlib.Path(__file__).parent / "results" / "learning"


@dataclasses.dataclass(frozen=True)
class Args:
    """Train agents on tasks and tabulate what they reach."""

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """task to learn; may be repeated; default: inverted_double_pendulum, hopper, half_cheetah"""
    agent: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """agent that learns, or one with choices of its own, such as dsac_e:rho=20,critics=5; may be repeated; default: all"""
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
    args.logs.mkdir(parents=True, exist_ok=True)
    for task in args.task or tuple(STEPS):
        for agent in args.agent or tuple(AGENTS):
            path = args.logs / f"{task}-{agent.replace(':', ',')}.jsonl"
            if not path.exists():
                lines = learn(task, agent, args.steps or STEPS[task], args.seeds)
                path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            print(task, agent, *(f"{x:.1f}" for x in read(path)[-1]["eval/return_mean"]), flush=True)
    results = {path.stem: read(path) for path in sorted(args.logs.glob("*.jsonl"))}
    if args.markdown:
        args.markdown.write_text(page(results))
    if args.figures:
        draw(results, args.figures)


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of one file of logs; the first says what was run, and where."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def learn(task: str, agent: str, steps: int, seeds: int) -> list[dict[str, Any]]:
    """Trains one agent on one task: what was run, and then a line per interval."""
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
    """The registry's order, each agent followed by its choices."""
    return list(AGENTS).index(agent.partition(":")[0]), agent


def _row(agent: str, lines: list[dict[str, Any]]) -> str:
    last = lines[-1]
    mean, half = interval(last["eval/return_mean"])
    best = max(interval(line["eval/return_mean"])[0] for line in lines if "eval/return_mean" in line)
    seeds = ", ".join(f"{x:.0f}" for x in last["eval/return_mean"])
    figures = f"{mean:.0f} ± {half:.0f} | {seeds} | {best:.0f} | {last['env_steps']:,} | {last['updates']:,}"
    name, _, choices = agent.partition(":")
    shown = f"`{name}` {choices}" if choices else f"[`{name}`](agents/{name}.md)"
    return f"| {shown} | {figures} | {last['train_s']:.0f} |"


_COLUMNS = """\
| agent | return: mean, 95 % interval | its seeds | best mean on the way | steps per seed | updates per seed | training (s) |
|---|---|---|---|---|---|---|
"""

_HEAD = """\
# How the agents learn

Written by `python -m benchmarks.learning --markdown docs/learning.md --figures docs/results/learning`; the raw logs lie in
[`benchmarks/results/learning/`](../benchmarks/results/learning/).

Preset `quick`, native physics, three seeds in one program; the return is that of the last evaluation (10 episodes of the
deterministic policy for each seed). The interval is Student's over seeds: three seeds make it wide. Seconds are those of
all three seeds together on one core, shared with other work, with compilation and without evaluation. The budget is a small
fraction of what the papers train for: the table says which agent gets going, not which is best in the end. An agent that a
table lacks has not been run on that task."""


def draw(results: dict[str, list[dict[str, Any]]], folder: pathlib.Path) -> None:
    """A figure per agent: its seeds and their mean before the means of the others; and its choices, where it has some."""
    folder.mkdir(parents=True, exist_ok=True)
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
    main(tyro.cli(Args, prog="python -m benchmarks.learning", description=__doc__))

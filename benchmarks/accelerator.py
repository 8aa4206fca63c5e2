"""``python -m benchmarks.accelerator``: the documented humanoid command on this machine's accelerator, for some minutes.

First the physics alone is measured in the same worlds. Then each agent trains as ``python -m train.run --env humanoid
--num-envs 4096`` does. The file holds speed, memory, and the return over wall time.

``--checkpoint-dir`` keeps the run directories, so that a later call goes on with the runs. With ``--preset paper --num-envs
20 --minutes 600`` this is the whole protocol of arXiv 2511.11592. What takes the time is measured by ``python -m
benchmarks.run --full``.
"""

import contextlib
import dataclasses
import pathlib
import signal
import sys
import tempfile
import threading
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

import envs
from benchmarks.choices import chosen, file_stem
from benchmarks.engines import seconds_per_step
from benchmarks.report import Report
from envs.command import Interrupted, UserError, run_command, user_errors
from train.config import CONFIG_FILE, Config
from train.logs import METRICS_FILE, read_lines
from train.loop import train

PROGRAM = "python -m benchmarks.accelerator"


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure a training run on an accelerator."""

    task: str = "humanoid"
    """the task"""
    agents: tuple[str, ...] = ("dsac_e", "fast_sac_era")
    """the agents, one after the other, with choices of their own if need be, such as dsac_e:rho=20,critics=5"""
    num_envs: int = 4096
    """worlds simulated side by side"""
    minutes: float = 10.0
    """training time of each agent"""
    preset: str = "parallel"
    """the preset of the runs"""
    physics_seconds: float = 5.0
    """least time for which the physics alone is measured (s)"""
    checkpoint_dir: pathlib.Path | None = None
    """where to keep the run directories; default: a temporary folder"""
    json: pathlib.Path | None = None
    """file to write the figures to; agents in it that are not measured now are kept"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    with contextlib.ExitStack() as stack:
        folder = args.checkpoint_dir or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        configs = {
            agent: dataclasses.replace(
                chosen(args.preset, args.task, agent),
                num_envs=args.num_envs,
                run_dir=str(folder / file_stem(args.task, agent)),
            ).validate()
            for agent in args.agents
        }
        report = Report(PROGRAM, args)
        table = Table("agent", "env steps/s", "updates/s", "share of physics rate", "best eval return", "memory (GiB)")
        physics_rate = None
        for agent, config in configs.items():
            if physics_rate is None:
                with user_errors():
                    task = envs.make(args.task, physics=config.physics)
                physics_rate = args.num_envs / seconds_per_step(task, args.num_envs, args.physics_seconds)
                print(f"physics alone: {physics_rate:,.0f} env steps/s", flush=True)
            measured = train_for(config, args.minutes)
            report.add(f"{agent} on {args.task}", {"agent": agent, "physics_env_steps_per_s": physics_rate, **measured})
            table.add_row(agent, *_cells(measured, physics_rate))
        Console().print(table)


def _cells(measured: dict[str, Any], physics_rate: float) -> list[str]:
    returns = [point["return_mean"] for point in measured["curve"]] or [float("nan")]
    return [
        f"{measured['env_steps_per_s']:,.0f}",
        f"{measured['updates_per_s']:,.1f}",
        f"{measured['env_steps_per_s'] / physics_rate:.2f}",
        f"{max(returns):.0f}",
        f"{(measured['peak_bytes'] or 0) / 2**30:.1f}",
    ]


def train_for(config: Config, minutes: float) -> dict[str, Any]:
    """Trains until the time is up, when the run is stopped as Ctrl-C would stop it; then reads what the run wrote.

    Raises:
      UserError: the run refuses its config, or wrote no line of its log in this time; one sentence.
    """
    assert config.run_dir is not None
    run_dir = pathlib.Path(config.run_dir)
    resume = (run_dir / CONFIG_FILE).exists()
    timer = threading.Timer(60 * minutes, signal.raise_signal, args=(signal.SIGINT,))
    timer.daemon = True
    timer.start()
    try:
        train(config, resume=resume)
    except Interrupted:
        pass
    finally:
        timer.cancel()
    lines = read_lines(run_dir / METRICS_FILE)
    if not lines:
        raise UserError(f"{config.agent} came to no line of its log in {minutes:g} minutes: give it more.")
    steady = lines[len(lines) // 2 :]
    evaluated = [line for line in lines if line.get("eval/return_mean") is not None]
    stats = jax.devices()[0].memory_stats() or {}
    return {
        "env_steps": lines[-1]["env_steps"],
        "updates": lines[-1]["updates"],
        "wall_s": lines[-1]["wall_s"],
        "env_steps_per_s": _mean([line["speed/env_steps_per_s"] for line in steady]),
        "updates_per_s": _mean([line["speed/updates_per_s"] for line in steady]),
        "peak_bytes": stats.get("peak_bytes_in_use"),
        "curve": [
            {"wall_s": line["wall_s"], "env_steps": line["env_steps"], "return_mean": line["eval/return_mean"]}
            for line in evaluated
        ],
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

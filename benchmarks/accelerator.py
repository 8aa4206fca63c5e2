"""``python -m benchmarks.accelerator``: the documented humanoid command on this machine's accelerator, for some minutes.

Measures the physics alone in the same worlds, then trains as ``python -m train.run --env humanoid --num-envs 4096`` does,
and writes speed, memory and return over wall time. ``--checkpoint-dir`` keeps the run directory: a later call goes on; with
``--preset paper --num-envs 20 --minutes 600`` it is the whole protocol of arXiv 2511.11592. What takes the time is a matter
of ``python -m benchmarks.run --full``.
"""

import dataclasses
import json
import pathlib
import signal
import tempfile
import threading
from typing import Any

import jax
import tyro
from rich.console import Console
from rich.table import Table

import envs
from benchmarks.engines import seconds_per_step
from benchmarks.report import environment
from train.config import Config
from train.logs import METRICS_FILE, read_lines
from train.loop import train
from train.presets import preset


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure a training run on an accelerator."""

    env: str = "humanoid"
    """the task"""
    agents: tuple[str, ...] = ("dsac_e", "fast_sac_era")
    """the agents, one after the other"""
    num_envs: int = 4096
    """worlds"""
    minutes: float = 10.0
    """training time of each agent"""
    preset: str = "parallel"
    """the preset"""
    physics_seconds: float = 5.0
    """least time of the physics-only measurement"""
    checkpoint_dir: pathlib.Path | None = None
    """where to keep the run directories; default: a temporary folder"""
    json: pathlib.Path | None = None
    """file to write"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    folder = args.checkpoint_dir or pathlib.Path(tempfile.mkdtemp())
    configs = [
        dataclasses.replace(
            preset(args.preset, args.env, agent), num_envs=args.num_envs, run_dir=str(folder / agent)
        ).validate()
        for agent in args.agents
    ]
    result: dict[str, Any] = {"environment": environment(), "args": _plain(args), "agents": {}}
    task = envs.make(args.env, physics=configs[0].physics)
    result["physics_env_steps_per_s"] = args.num_envs / seconds_per_step(task, args.num_envs, args.physics_seconds)
    print(f"physics alone: {result['physics_env_steps_per_s']:,.0f} env steps/s", flush=True)
    for config in configs:
        result["agents"][config.agent] = train_for(config, args.minutes)
        if args.json:  # after each agent: what was measured stays if the next one fails
            args.json.write_text(json.dumps(result, indent=2) + "\n")
    table = Table("agent", "env steps/s", "updates/s", "share of physics rate", "best eval return", "memory (GiB)")
    for agent, measured in result["agents"].items():
        share = measured["env_steps_per_s"] / result["physics_env_steps_per_s"]
        returns = [point["return_mean"] for point in measured["curve"]] or [float("nan")]
        memory = (measured["peak_bytes"] or 0) / 2**30
        figures = (f"{measured['env_steps_per_s']:,.0f}", f"{measured['updates_per_s']:,.1f}", f"{share:.2f}")
        table.add_row(agent, *figures, f"{max(returns):.0f}", f"{memory:.1f}")
    Console().print(table)


def train_for(config: Config, minutes: float) -> dict[str, Any]:
    """Trains until the time is up (as Ctrl-C would end it), and reads what the run wrote."""
    assert config.run_dir is not None
    run_dir = pathlib.Path(config.run_dir)
    resume = (run_dir / METRICS_FILE).exists()
    timer = threading.Timer(60 * minutes, signal.raise_signal, args=(signal.SIGINT,))
    timer.daemon = True
    timer.start()
    try:
        train(config, resume=resume)
    except KeyboardInterrupt:
        pass
    finally:
        timer.cancel()
    lines = read_lines(run_dir / METRICS_FILE)
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


def _plain(args: Args) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, pathlib.Path) else value for name, value in vars(args).items()}


if __name__ == "__main__":
    main(tyro.cli(Args, prog="python -m benchmarks.accelerator"))

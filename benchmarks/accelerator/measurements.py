"""What the steps do. Each function runs in a process of its own, and returns the figures of a step."""

import dataclasses
import importlib.metadata
import pathlib
import subprocess
import tempfile
from typing import Any

import jax

import envs
from benchmarks import same_numbers
from benchmarks.choices import EngineName, chosen
from benchmarks.engines import seconds_per_step
from benchmarks.measuring import fastest
from benchmarks.report import environment
from benchmarks.updates import program
from envs.command import Interrupted, user_errors
from mjx_tecrl.agent import MatmulPrecision
from train.compilation_cache import use_compilation_cache
from train.config import CONFIG_FILE, Config
from train.logs import METRICS_FILE, read_lines
from train.loop import train
from train.presets import LENGTH
from train.run_dir import seed_configs

_LIBRARIES = ("jax", "nvidia", "warp", "mujoco", "playground", "brax")


def machine() -> dict[str, Any]:
    """The card, its driver, and the versions of all that speaks with it."""
    device = jax.devices()[0]
    installed = {dist.name: dist.version for dist in importlib.metadata.distributions() if dist.name}
    return {
        "environment": environment(),
        "platform": device.platform,
        "platform_version": " ".join(device.client.platform_version.split()),
        "driver": _driver(),
        "memory_bytes": _memory("bytes_limit"),
        "packages": {name: installed[name] for name in sorted(installed) if name.lower().startswith(_LIBRARIES)},
    }


def physics(task: str, engine: EngineName, num_envs: int, seconds: float) -> dict[str, Any]:
    """Environment steps per second of all worlds, with random actions and without an agent.

    Args:
      task: name of the task.
      engine: physics engine.
      num_envs: number of worlds.
      seconds: least time of the measurement.

    Raises:
      UserError: the task does not run on this engine, or the engine is not installed; one sentence.
    """
    use_compilation_cache(Config.compilation_cache)
    with user_errors():
        env = envs.make(task, physics=engine)
    took = seconds_per_step(env, num_envs, seconds)
    return {
        "task": task,
        "engine": engine,
        "num_envs": num_envs,
        "ms_per_vector_step": 1e3 * took,
        "env_steps_per_s": num_envs / took,
        "physics_steps_per_s": num_envs * env.substeps / took,
        "peak_bytes": _memory("peak_bytes_in_use"),
    }


def updates(task: str, agent: str, preset: str, batch_size: int, count: int, precision: MatmulPrecision) -> dict[str, Any]:
    """Gradient steps per second on one batch.

    Args:
      task: gives the sizes of observation and action.
      agent: the agent, with its choices.
      preset: gives the agent's constants.
      batch_size: transitions per gradient step.
      count: gradient steps in a row.
      precision: of the matrix products.
    """
    use_compilation_cache(Config.compilation_cache)
    compiled = program(preset, task, agent, batch_size, count, precision)
    [seconds] = fastest(compiled.run)
    return {
        "task": task,
        "agent": agent,
        "preset": preset,
        "batch_size": batch_size,
        "precision": precision,
        "updates_per_s": count / seconds,
        "ms_per_update": 1e3 * seconds / count,
        "flops_per_s": compiled.flops * count / seconds,
        "bytes_per_s": compiled.bytes * count / seconds,
        "peak_bytes": _memory("peak_bytes_in_use"),
    }


def training(run_dir: str, **options: Any) -> dict[str, Any]:
    """Begins a run, or goes on with it from its newest checkpoint; to its end, or until a signal comes.

    Args:
      run_dir: its directory.
      **options: as `run_config` has them.

    Raises:
      UserError: the run is impossible; one sentence.
    """
    config, complete = run_config(run_dir=run_dir, **options), True
    try:
        train(config, resume=(pathlib.Path(run_dir) / CONFIG_FILE).exists())
    except Interrupted:
        complete = False
    return {"complete": complete, "preset": config.preset, **progress(config), "peak_bytes": _memory("peak_bytes_in_use")}


def run_config(task: str, agent: str, preset: str, **values: Any) -> Config:
    """The checked config of a run.

    Args:
      task: name of the task.
      agent: the agent, with its choices.
      preset: of the run.
      **values: fields of the config that differ from the preset's.

    Raises:
      UserError: a name is unknown or a value impossible; one sentence.
    """
    length = {name: value for name, value in values.items() if name in LENGTH}
    config = chosen(preset, task, agent, **length)
    return dataclasses.replace(config, **values).validate()


def progress(config: Config) -> dict[str, Any]:
    """What the logs of a run say: how far it came, how fast it was, and its return over time. Seeds are averaged."""
    assert config.run_dir is not None
    run_dir = pathlib.Path(config.run_dir)
    seeds = [read_lines(pathlib.Path(str(one.run_dir)) / METRICS_FILE) for one in seed_configs(config, run_dir)]
    lines = min(seeds, key=len)
    steady = lines[len(lines) // 2 :]
    curve = [
        {
            "wall_s": line["wall_s"],
            "env_steps": line["env_steps"],
            "returns": (returns := [seed[number].get("eval/return_mean") for seed in seeds]),
            "return_mean": _mean(returns),
        }
        for number, line in enumerate(lines)
        if all(seed[number].get("eval/return_mean") is not None for seed in seeds)
    ]
    last = lines[-1] if lines else {}
    speed = _mean([line["speed/env_steps_per_s"] for line in steady]) if steady else None
    _, every = config.update_schedule
    return {
        "task": config.env,
        "agent": config.agent,
        "engine": config.physics,
        "num_envs": config.num_envs,
        "batch_size": config.batch_size,
        "num_seeds": config.num_seeds,
        "total_steps": config.total_steps,
        "env_steps": last.get("env_steps", 0),
        "updates": last.get("updates", 0),
        "wall_s": last.get("wall_s", 0.0),
        "ms_per_iteration": speed and 1e3 * config.num_envs * every / speed,
        "env_steps_per_s": speed and config.num_seeds * speed,
        "updates_per_s": config.num_seeds * _mean([line["speed/updates_per_s"] for line in steady]) if steady else None,
        "diverged": sum(seed[-1].get("safety/diverged_total", 0) for seed in seeds if seed),
        "skipped_updates": sum(line.get("safety/skipped_updates") or 0 for seed in seeds for line in seed),
        "best_return": max((point["return_mean"] for point in curve), default=None),
        "curve": curve,
    }


def exactness(flags: list[str], half: int, total: int) -> dict[str, Any]:
    """Whether a run is the same twice, and the same if it is interrupted and resumed: each in processes of its own.

    Args:
      flags: of ``train.run``.
      half: environment steps after which the third run is interrupted; a checkpoint is due there.
      total: environment steps of all runs.

    Raises:
      UserError: a run failed; one sentence.
    """
    tree, whole = same_numbers.HERE, [*flags, "--total-steps", str(total)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        once, twice = (same_numbers.outcome(tree, whole, folder / name) for name in ("once", "twice"))
        resumed = str(folder / "resumed")
        same_numbers.run(tree, "train.run", *flags, "--total-steps", str(half), "--run-dir", resumed)
        same_numbers.run(tree, "train.run", "--resume", "--run-dir", resumed, "--total-steps", str(total))
        halves = same_numbers.outcome(tree, [], folder / "resumed")
    return {
        "flags": whole,
        "items": len(once),
        "different_twice": same_numbers.differences(once, twice),
        "different_resumed": same_numbers.differences(once, halves),
    }


def _memory(name: str) -> int | None:
    return (jax.devices()[0].memory_stats() or {}).get(name)


def _driver() -> str | None:
    """The version of NVIDIA's driver; None where there is none."""
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version,name,clocks.max.sm,memory.total", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)

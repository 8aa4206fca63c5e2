"""``python -m benchmarks.memory``: the memory that a run predicts, against what it takes.

Each row is measured in a process of its own, which trains for some iterations and writes a checkpoint. What it takes is the
growth of its resident memory, from the moment at which the training program is compiled to the peak. This works on a CPU
only, where the device's memory is the host's.
"""

import dataclasses
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
from typing import Any
from unittest import mock

import psutil
from rich.console import Console
from rich.table import Table

import train.loop
from benchmarks.report import Report
from envs.command import run_command
from train.memory import Memory
from train.presets import preset

PROGRAM = "python -m benchmarks.memory"

CASES = (
    ("hopper", "sac", 16, 100_000),
    ("hopper", "sac", 16, 4_000_000),
    ("hopper", "dsac_e", 1024, 1_000_000),
    ("humanoid", "dsac_e", 16, 100_000),
    ("humanoid", "dsac_e", 16, 1_000_000),
    ("humanoid", "ppo", 256, 0),
)
"""Task, agent, worlds, replay size."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare the memory that runs predict with what they take."""

    json: pathlib.Path | None = None
    """file to write the figures to"""


_MEASURE = """
import json, sys
from benchmarks.memory import measure
print(json.dumps(measure(*json.loads(sys.argv[1]))))
"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    report = Report(PROGRAM, args)
    table = Table("task", "agent", "worlds", "replay", "predicted (MB)", "measured (MB)", "ratio")
    for case in CASES:
        command = [sys.executable, "-c", _MEASURE, json.dumps(case)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        report.add("memory", row)
        ratio = f"{row['measured_mb'] / row['predicted_mb']:.2f}"
        figures = (f"{row['predicted_mb']:.0f}", f"{row['measured_mb']:.0f}", ratio)
        table.add_row(row["task"], row["agent"], str(row["num_envs"]), str(row["replay_size"]), *figures)
    Console().print(table)


def measure(task: str, agent: str, num_envs: int, replay_size: int) -> dict[str, Any]:
    """Trains for some iterations in this process; returns the memory that the run predicts, and what it takes."""
    seen: dict[str, float] = {}
    check = train.loop.check_memory

    def note(program: Any, state: Any, scratch: int = 0) -> Memory:
        memory = check(program, state, scratch)
        seen["predicted"] = memory.device + memory.copy
        seen["before"] = psutil.Process().memory_info().rss
        return memory

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(train.loop, "check_memory", note):
        config = preset("quick", task, agent)
        values: dict[str, Any] = {"replay_size": replay_size} if replay_size else {}
        steps = 64 * num_envs
        config = dataclasses.replace(
            config, num_envs=num_envs, total_steps=steps, log_steps=steps, eval_episodes=1, run_dir=f"{folder}/run", **values
        )
        train.loop.train(config)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "task": task,
        "agent": agent,
        "num_envs": num_envs,
        "replay_size": replay_size,
        "predicted_mb": seen["predicted"] / 1e6,
        "measured_mb": (peak - seen["before"]) / 1e6,
    }


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

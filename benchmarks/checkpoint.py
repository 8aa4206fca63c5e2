"""``python -m benchmarks.checkpoint``: what a checkpoint costs.

Measured are how long training waits for a checkpoint, how long it takes to write, how large it is, and how long it takes to
read. The replay is full of standard normal numbers, which do not compress better than observations do.
"""

import dataclasses
import pathlib
import sys
import tempfile
import time
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from benchmarks.choices import Training
from benchmarks.report import Report
from envs.command import run_command
from train.checkpoints import Checkpoints, Notes
from train.program import Program
from train.state import TrainState, checkpoint_parts

PROGRAM = "python -m benchmarks.checkpoint"


@dataclasses.dataclass(frozen=True)
class Args(Training):
    """Measure what a checkpoint costs."""

    num_envs: int = 16
    """worlds simulated side by side"""
    replay_size: int = 1_000_000
    """transitions in the replay"""


def main(args: Args) -> None:
    """Measures with the replay and without it, prints, writes."""
    config = args.config(num_envs=args.num_envs, replay_size=args.replay_size)
    report = Report(PROGRAM, args)
    program = Program(config)
    root = jax.random.key(0)
    state = program.fresh_state()
    fill = jax.jit(lambda ring: jax.random.normal(root, ring.shape), donate_argnums=0)
    rows = state.replay.rows
    rows = dataclasses.replace(rows, obs=fill(rows.obs), action=fill(rows.action), reward=fill(rows.reward))
    state = jax.block_until_ready(dataclasses.replace(state, replay=dataclasses.replace(state.replay, rows=rows)))
    table = Table("replay", "training waits, first (s)", "and then (s)", "written after (s)", "size (MB)", "read after (s)")
    for kept in (state, dataclasses.replace(state, replay=())):
        row = {"replay": kept is state} | measure(kept, program.state_shapes())
        report.add(f"{args.agent} on {args.task}", row)
        figures = (row[name] for name in ("first_stall_s", "stall_s", "write_s", "size_mb", "read_s"))
        table.add_row(str(row["replay"]), *(f"{figure:.2f}" for figure in figures))
    Console().print(table)


def measure(state: TrainState, shapes: TrainState) -> dict[str, float]:
    """The costs of a checkpoint of ``state``, in a run whose state has these shapes."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(pathlib.Path(folder), keep=1)
        stalls = []
        for step in (0, 1, 2):  # step 0 is kept, since it is the first, and 2, since it is the newest
            started = time.perf_counter()
            checkpoints.save(step, checkpoint_parts(state), Notes({}, {}, None))
            stalls.append(time.perf_counter() - started)
            checkpoints.finish()
            written = time.perf_counter() - started
        size = sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file()) / 2
        started = time.perf_counter()
        restored: Any = checkpoints.restore(checkpoint_parts(shapes), optional=frozenset({"replay"}))
        jax.block_until_ready(restored)
        read = time.perf_counter() - started
    return {"first_stall_s": stalls[0], "stall_s": stalls[-1], "write_s": written, "size_mb": size / 1e6, "read_s": read}


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

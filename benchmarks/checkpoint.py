"""Checkpoints: how long training waits for one, how long it takes to write, how large it is, and how long to read.

``python -m benchmarks.checkpoint --env humanoid --replay-size 1000000 --json benchmarks/results/checkpoint.json``

The replay is full, of numbers that do not compress better than observations do: standard normal ones.
"""

import dataclasses
import json
import pathlib
import tempfile
import time
from typing import Any

import jax
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.report import environment
from train.checkpoints import Checkpoints, Notes
from train.presets import preset
from train.program import Program
from train.state import checkpoint_parts


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure what a checkpoint costs."""

    env: str = "humanoid"
    """task"""
    agent: str = "dsac_e"
    """agent"""
    num_envs: int = 16
    """worlds"""
    replay_size: int = 1_000_000
    """transitions in the replay"""
    json: pathlib.Path | None = None
    """file to write the rows to"""


def main(args: Args) -> None:
    """Measures with the replay and without, prints, writes."""
    config = dataclasses.replace(
        preset("quick", args.env, args.agent), num_envs=args.num_envs, replay_size=args.replay_size
    ).validate()
    program = Program(config)
    root = jax.random.key(0)
    state = program.fresh_state()
    fill = jax.jit(lambda ring: jax.random.normal(root, ring.shape), donate_argnums=0)
    rows = state.replay.rows
    rows = dataclasses.replace(rows, obs=fill(rows.obs), action=fill(rows.action), reward=fill(rows.reward))
    state = jax.block_until_ready(dataclasses.replace(state, replay=dataclasses.replace(state.replay, rows=rows)))
    results = [measure(program, state, replay=replay) for replay in (True, False)]
    table = Table("replay", "training waits, first (s)", "and then (s)", "written after (s)", "size (MB)", "read after (s)")
    for row in results:
        figures = (row[name] for name in ("first_stall_s", "stall_s", "write_s", "size_mb", "read_s"))
        table.add_row(str(row["replay"]), *(f"{figure:.2f}" for figure in figures))
    Console().print(table)
    if args.json:
        settings = {name: value for name, value in dataclasses.asdict(args).items() if name != "json"}
        args.json.write_text(json.dumps({"environment": environment(), **settings, "rows": results}, indent=2) + "\n")


def measure(program: Program, state: Any, *, replay: bool) -> dict[str, Any]:
    """One row."""
    shapes = checkpoint_parts(program.state_shapes())
    if not replay:
        state = dataclasses.replace(state, replay=())
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(pathlib.Path(folder), keep=1)
        stalls = []
        for step in (0, 1, 2):  # the first stays, whatever comes after it
            started = time.perf_counter()
            checkpoints.save(step, checkpoint_parts(state), Notes({}, {}, None))
            stalls.append(time.perf_counter() - started)
            checkpoints.finish()
            written = time.perf_counter() - started
        size = sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file()) / 2
        started = time.perf_counter()
        jax.block_until_ready(checkpoints.restore(shapes, optional=frozenset({"replay"})))
        read = time.perf_counter() - started
    return {
        "replay": replay,
        "first_stall_s": stalls[0],
        "stall_s": stalls[-1],
        "write_s": written,
        "size_mb": size / 1e6,
        "read_s": read,
    }


if __name__ == "__main__":
    main(tyro.cli(Args, prog="python -m benchmarks.checkpoint", description=__doc__))

"""``python -m benchmarks.iteration``: time per training iteration over worlds and replay sizes, and what of it is replay.

The claim to check: inserting and sampling cost the same however large the replay is.
"""

import dataclasses
import functools
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.report import environment
from mjx_tecrl.replay import insert, sample
from train.learner import Learner
from train.presets import preset


@dataclasses.dataclass(frozen=True)
class Args:
    """Measure iterations."""

    env: str = "hopper"
    """the task"""
    num_envs: tuple[int, ...] = (16, 256, 4096)
    """numbers of worlds"""
    replay_sizes: tuple[int, ...] = (100_000, 1_000_000, 4_000_000)
    """transitions"""
    iterations: int = 50
    """iterations per measurement"""
    repeats: int = 3
    """measurements, of which the fastest counts"""
    json: pathlib.Path | None = None
    """file to write"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    rows = [measure(args, n, size) for n in args.num_envs for size in args.replay_sizes]
    table = Table("worlds", "replay", "iteration (ms)", "insert (ms)", "sample 256 (ms)", title=args.env)
    for row in rows:
        figures = (f"{row[name]:.3f}" for name in ("iteration_ms", "insert_ms", "sample_ms"))
        table.add_row(f"{row['num_envs']}", f"{row['replay_size']:,d}", *figures)
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps({"environment": environment(), "env": args.env, "rows": rows}, indent=2) + "\n")


def measure(args: Args, num_envs: int, replay_size: int) -> dict[str, Any]:
    """One row of the table."""
    config = dataclasses.replace(
        preset("quick", args.env, "dsac_e"),
        num_envs=num_envs,
        replay_size=replay_size,
        log_steps=args.iterations * num_envs,
        learning_starts=256,
    ).validate()
    learner = Learner(config)
    root = jax.random.key(config.seed)
    pool = learner.draw_pool(root, jnp.zeros((), jnp.int32))
    state = learner.init(root, pool)
    state, _ = learner.train_chunk(state, pool)  # compiles, and fills beyond the start of learning

    def chunk() -> None:
        nonlocal state
        state, _ = learner.train_chunk(state, pool)
        jax.block_until_ready(state)

    iteration = _fastest(chunk, args.repeats) / args.iterations
    row = jax.tree.map(lambda ring: ring[0], state.replay.rows)
    key = jax.random.key(0)

    @functools.partial(jax.jit, donate_argnums=0)
    def inserts(replay: Any, row: Any) -> Any:
        return jax.lax.fori_loop(0, args.iterations, lambda _, r: insert(r, row), replay)

    @jax.jit
    def samples(replay: Any, key: jax.Array) -> Any:
        def add(total: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
            batch = sample(replay, key, 256, 1, 0.99)
            return total + sum(x.sum() for x in jax.tree.leaves(batch)), None

        return jax.lax.scan(add, jnp.zeros(()), jax.random.split(key, args.iterations))[0]

    replay = inserts(state.replay, row)

    def insert_many() -> None:
        nonlocal replay
        replay = jax.block_until_ready(inserts(replay, row))

    jax.block_until_ready(samples(replay, key))
    return {
        "num_envs": num_envs,
        "replay_size": replay_size,
        "iteration_ms": 1e3 * iteration,
        "insert_ms": 1e3 * _fastest(insert_many, args.repeats) / args.iterations,
        "sample_ms": 1e3 * _fastest(lambda: jax.block_until_ready(samples(replay, key)), args.repeats) / args.iterations,
    }


def _fastest(action: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of ``repeats`` runs: noise only ever adds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main(tyro.cli(Args, prog="python -m benchmarks.iteration"))

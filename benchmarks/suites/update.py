"""The suite ``update``: gradient steps alone."""

from collections.abc import Iterator
from typing import get_args

import jax

from benchmarks.measuring import Row, fastest, floor, matmul_rate, memory_rate
from benchmarks.updates import program
from mjx_tecrl import AGENTS
from mjx_tecrl.agent import MatmulPrecision
from train.presets import preset


def measure(full: bool) -> Iterator[Row]:
    """Gradient steps of agents with a replay, and how far they are from their floor."""
    peak, bandwidth = matmul_rate(), memory_rate()
    yield Row("matrix product of 1024 x 1024", peak / 1e9, "Gflop/s")
    yield Row("memory, read and written", bandwidth / 1e9, "GB/s")
    agents = [name for name, kind in AGENTS.items() if preset("paper", "humanoid", name).replay_size]
    # A CPU has one precision, and a batch of 32768 takes it seconds.
    accelerated = jax.default_backend() != "cpu"
    precisions = get_args(MatmulPrecision) if accelerated else ("float32",)
    batches = (256, 4096, 8192, 32768) if accelerated else (256, 4096)
    main = ("dsac_e", "fast_sac_era")
    for agent in agents if full else main:
        for batch in batches if full and agent in main else (256,):
            for precision in precisions:
                made = program("paper", "humanoid", agent, batch, updates=10, precision=precision)
                seconds = fastest(made.run)[0] / 10
                case = f"{agent}, batch {batch}" + f", {precision}" * accelerated
                yield Row(case, 1 / seconds, "updates/s")
                yield floor(case, made.flops, made.bytes, peak, bandwidth, seconds)

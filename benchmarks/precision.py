"""``python -m benchmarks.precision``: what ``--matmul-precision`` does to learning, emulated on a CPU.

A CPU multiplies in float32 whatever it is told. So the operands of every matrix product of a run, forwards and backwards,
are rounded here as an accelerator would round them; the sum is in float32. The seeds are the same for each precision.
"""

import contextlib
import dataclasses
import pathlib
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.mlir.dialects import stablehlo
from jax.interpreters import mlir
from rich.console import Console
from rich.table import Table

from benchmarks.choices import Training
from benchmarks.report import Report
from envs.command import run_command
from train.logs import METRICS_FILE, read_lines
from train.loop import train
from train.run_dir import seed_configs

PROGRAM = "python -m benchmarks.precision"

MANTISSA_BITS = {"float32": 23, "tensorfloat32": 10, "bfloat16": 7}
"""Bits of the mantissa, by precision. All precisions have the exponent of float32."""


@dataclasses.dataclass(frozen=True)
class Args(Training):
    """Train one agent with matrix products of each precision."""

    task: str = "inverted_double_pendulum"
    """the task"""
    agent: str = "sac"
    """the agent, with choices of its own if need be, such as dsac_e:rho=20,critics=5"""
    steps: int = 96_000
    """environment steps of each seed"""
    num_seeds: int = 3
    """seeds, trained side by side"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    report = Report(PROGRAM, args)
    table = Table("precision", "last evaluation of each seed", title=f"{args.agent} on {args.task}, {args.steps:,} steps")
    for precision, bits in MANTISSA_BITS.items():
        with rounded_products(bits), tempfile.TemporaryDirectory() as folder:
            returns = _train(args, folder)
        report.add(f"{args.agent} on {args.task}", {"precision": precision, "returns": returns})
        table.add_row(precision, ", ".join(f"{x:.0f}" for x in returns))
    Console().print(table)


@contextlib.contextmanager
def rounded_products(mantissa_bits: int) -> Iterator[None]:
    """In this block, programs are compiled that round the operands of their matrix products to this many bits."""
    product, rules = jax.lax.dot_general_p, mlir._platform_specific_lowerings["cpu"]  # there is no public name for these
    lower = rules[product]

    def rounding(ctx: Any, lhs: Any, rhs: Any, **params: Any) -> Any:
        operands = (stablehlo.reduce_precision(x, 8, mantissa_bits) for x in (lhs, rhs))
        return lower.rule(ctx, *operands, **params)

    jax.clear_caches()
    mlir.register_lowering(product, rounding, platform="cpu")
    try:
        yield
    finally:
        rules[product] = lower
        jax.clear_caches()


def _train(args: Args, folder: str) -> list[float]:
    """The last evaluation of each seed."""
    config = args.config(total_steps=args.steps, num_seeds=args.num_seeds, run_dir=f"{folder}/run", compilation_cache=None)
    train(config)
    returns = []
    for one in seed_configs(config, pathlib.Path(f"{folder}/run")):
        lines = read_lines(pathlib.Path(str(one.run_dir)) / METRICS_FILE)
        returns.append([line["eval/return_mean"] for line in lines if line.get("eval/return_mean") is not None][-1])
    return returns


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

"""``python -m benchmarks.gpu_program``: compiles programs of a run for a GPU that is not there, and counts their work.

It needs the compiler for NVIDIA's cards, which ``make gpu-check`` fetches, but neither a card nor a driver.
docs/gpu_program.md explains each number.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.choices import chosen
from benchmarks.gpu_program.cards import CARDS
from benchmarks.gpu_program.compile import STAMP, Request, environment
from benchmarks.gpu_program.counts import row
from benchmarks.gpu_program.programs import ProgramName
from benchmarks.report import Report, read_sections
from envs.command import UserError, run_command, say

PROGRAM = "python -m benchmarks.gpu_program"

FIGURES = ("nodes", "nodes_in_all", "graphs", "alone", "copies", "calls", "synchronisations")
"""What is shown of each program, beside sizes and times."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Compile programs of a run for a GPU that is not there, and count what it would be told to do."""

    program: tyro.conf.Positional[ProgramName] = "iteration"
    """gradient steps (update, updates), steps of all worlds without and with the policy (physics, collect), the training
    loop (iteration), or an evaluation"""
    task: str = "inverted_pendulum"
    """the task"""
    agent: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """agent, with choices of its own if need be; may be repeated; default: dsac_e"""
    physics: Literal["mjx", "warp", "native"] = "mjx"
    """physics engine"""
    preset: str = "parallel"
    """the preset of the run"""
    num_envs: int | None = None
    """worlds; default: the preset's"""
    batch_size: int | None = None
    """transitions per gradient step; default: the preset's"""
    updates_per_step: int | None = None
    """gradient steps per vector step; default: the preset's"""
    matmul_precision: str | None = None
    """see train.run"""
    devices: int = 1
    """cards that share the run"""
    deterministic: bool = False
    """see train.run"""
    card: Literal["H100", "H200", "A100", "RTX4090"] = "H100"
    """the card to compile for"""
    flags: str = ""
    """more flags for XLA, such as --xla_gpu_enable_command_buffer=+WHILE"""
    json: pathlib.Path | None = None
    """file to write the figures to"""
    against: pathlib.Path | None = None
    """file of figures to compare with"""
    keep: pathlib.Path | None = None
    """folder in which to keep what XLA dumps"""
    tree: bool = False
    """print every graph, loop and branch, with what it holds"""


def main(args: Args) -> None:
    """Compiles, counts, prints, writes."""
    if not STAMP.is_file():
        raise UserError("The compiler for NVIDIA's cards is not here: make gpu-check.")
    console, report = Console(), Report(PROGRAM, args)
    before = read_sections(args.against) if args.against else {}
    for agent in args.agent or ("dsac_e",):
        chosen(args.preset, args.task, agent)  # a mistake shows before anything is compiled
        found = compiled(args, agent)
        name = ", ".join(filter(None, (args.program, agent, args.task, args.physics, args.card)))
        report.add(name, {"program": args.program, "agent": agent, "task": args.task, **found})
        say(console, name)
        console.print(table(found, before.get(name, {}).get("rows", [{}])[0]))
        if args.tree:
            say(console, "\n".join(found["tree"]))


def compiled(args: Args, agent: str) -> dict[str, Any]:
    """The figures of one program.

    Raises:
      UserError: the run is impossible; one sentence.
    """
    names = ("num_envs", "batch_size", "updates_per_step", "matmul_precision", "devices", "deterministic", "physics")
    values = {name: value for name in names if (value := getattr(args, name)) is not None}
    with tempfile.TemporaryDirectory() as folder:
        kept = str(args.keep or folder)
        request = Request(args.program, args.card, args.preset, args.task, agent, values, args.flags, kept)
        command = [sys.executable, "-m", "benchmarks.gpu_program.compile", json.dumps(dataclasses.asdict(request))]
        done = subprocess.run(command, env=environment(kept, args.flags), capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"The compiler failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}.")
        said = json.loads(done.stdout.splitlines()[-1])
        if "refused" in said:
            raise UserError(said["refused"])
        return row(pathlib.Path(kept), said, CARDS[args.card])


def table(found: dict[str, Any], before: dict[str, Any]) -> Table:
    """The figures of a program, beside those of an earlier run of the same command if there are any."""
    both = [found, before] if before else [found]
    shown = Table("per turn", "now", *["before"] * bool(before))

    def add(name: str, of: Callable[[dict[str, Any]], str]) -> None:
        shown.add_row(name, *map(of, both))

    for name in FIGURES:
        add(name.replace("_", " "), lambda figures, name=name: f"{figures[name]:,}")
    for name in ("state", "not_in_place", "scratch"):
        add(f"{name.replace('_', ' ')} (MB)", lambda figures, name=name: f"{figures[f'{name}_bytes'] / 1e6:,.1f}")
    add("copies of the replay", lambda figures: str(figures["replay_copies"]))
    add("other work", lambda figures: ", ".join(figures["unknown"]) or "none")
    for name in found["floor_ms"]:
        add(f"floor by {name} (ms)", lambda figures, name=name: f"{figures['floor_ms'][name]:.3f}")
    for name in ("build", "trace", "lower", "compile"):
        add(f"{name} (s)", lambda figures, name=name: f"{figures[f'{name}_s']:.1f}")
    return shown


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

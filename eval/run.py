"""``python -m eval.run RUN_DIR``: scores a trained run."""

import dataclasses
import json
import pathlib
import sys
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

from envs.command import UserError, check_seed, run_command, say
from eval.restore import OwnCodeArgs, restore
from eval.score import Score, play, play_in_gymnasium, summarize


@dataclasses.dataclass(frozen=True)
class Args(OwnCodeArgs):
    """Score the deterministic policy of a trained run."""

    run_dir: tyro.conf.Positional[pathlib.Path]
    """the run directory"""
    episodes: int = 64
    """number of episodes to play"""
    step: int | None = None
    """which checkpoint (environment steps); default: the newest"""
    simulator: Literal["same", "gymnasium"] = "same"
    """where to play: in this project's simulation, as in training, or in Gymnasium's own environment"""
    physics: Literal["mjx", "warp", "native"] | None = None
    """physics engine; default: the one it was trained on"""
    seed: int = 0
    """seed of the start states"""
    json: bool = False
    """print one JSON object instead of a table"""


def evaluate(args: Args) -> None:
    """Restores the policy, plays, and prints the score."""
    if args.episodes < 1:
        raise UserError(f"--episodes must be at least 1, not {args.episodes}.")
    check_seed(args.seed)
    if args.simulator == "gymnasium" and args.physics is not None:
        raise UserError("--physics chooses our own engine: it cannot be given together with --simulator gymnasium.")
    restored = restore(args.run_dir, args.step, args.physics, **args.own)
    if args.simulator == "gymnasium":
        played, simulator = play_in_gymnasium(restored, args.episodes, args.seed), "gymnasium"
    else:
        played, simulator = play(restored, args.episodes, args.seed), restored.problem.config.physics
    score = summarize(played)
    if args.json:
        print(json.dumps({"step": restored.step, "simulator": simulator, **dataclasses.asdict(score)}))
    else:
        console = Console()
        say(console, f"{restored.problem.env.name} after {restored.step} steps, {simulator} physics")
        console.print(_table(score))


def _table(score: Score) -> Table:
    table = Table("figure", "value")
    table.add_row("episodes", f"{score.episodes}" + (f" (and {score.diverged} diverged)" if score.diverged else ""))
    table.add_row("return, mean ± std", f"{score.return_mean:.1f} ± {score.return_std:.1f}")
    interval = f"[{score.return_iqm_low:.1f}, {score.return_iqm_high:.1f}]"
    table.add_row("return, IQM [95 % interval]", f"{score.return_iqm:.1f} {interval}".replace("[", r"\["))
    table.add_row("episode length, mean", f"{score.length_mean:.1f} steps")
    if score.overflowed:
        table.add_row(
            "episodes with too small buffers", f"{score.overflowed}: raise --physics.max-contacts and -constraints"
        )
    return table


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, evaluate, "python -m eval.run", args)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m benchmarks.same_numbers OTHER``: does another checkout of this project compute the same numbers, bit for bit?

A change that only moves code must not change a number. Each case is trained and scored in both checkouts by the same
command. Then the metrics (but for times), all arrays of all checkpoints (by their CRC-32) and the scores are compared.
"""

import dataclasses
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
from typing import Any, Literal

import tyro

from envs.command import UserError, run_command
from train.checkpoints.manifest import MANIFEST_FILE, read_manifest

HERE = pathlib.Path(__file__).resolve().parent.parent

OFF_POLICY = shlex.split(
    "--num-envs 8 --updates-per-step 1 --total-steps 1600 --log-steps 400 --eval-steps 800 --checkpoint-steps 800 "
    "--learning-starts 160 --batch-size 32 --replay-size 1200 --eval-episodes 4"
)
"""The replay wraps around within the run."""

ON_POLICY = shlex.split(
    "--num-envs 8 --agent.rollout-steps 128 --agent.minibatches 32 "
    "--total-steps 4096 --log-steps 1024 --eval-steps 2048 --checkpoint-steps 2048 --eval-episodes 4"
)

CASES = {
    "dsac_e": ["--env", "humanoid", "--agent", "dsac_e", "--physics", "native", *OFF_POLICY],
    "flash_sac": ["--env", "hopper", "--agent", "flash_sac", "--physics", "native", *OFF_POLICY],
    "td3": ["--env", "half_cheetah", "--agent", "td3", "--physics", "native", *OFF_POLICY],
    "fast_sac_era": [
        *("--env", "inverted_double_pendulum", "--agent", "fast_sac_era", "--physics", "native", "--num-seeds", "2"),
        *("--agent.n-step", "3", *OFF_POLICY),
    ],
    "ppo": ["--env", "ant", "--agent", "ppo", "--physics", "native", *ON_POLICY],
    "mjx": [
        *("--env", "inverted_pendulum", "--agent", "sac", "--physics", "mjx", "--randomize.mass", "0.8", "1.2"),
        *("--randomize.privileged", "--normalize-obs", *OFF_POLICY),
    ],
}
"""Flags of ``train.run``, by the name of the case."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare the numbers of two checkouts."""

    other: tyro.conf.Positional[pathlib.Path]
    """folder of the other checkout"""
    cases: tuple[Literal["dsac_e", "flash_sac", "td3", "fast_sac_era", "ppo", "mjx"], ...] = tuple(CASES)  # type: ignore[assignment]
    """what to train"""
    keep: pathlib.Path | None = None
    """folder that keeps the other checkout's runs, so that they need not be made again; default: a temporary folder"""


def compare(args: Args) -> None:
    """Trains, compares, prints a line for each case.

    Raises:
      UserError: a number differs, or a run failed.
    """
    if not (args.other / "train" / "run.py").exists():
        raise UserError(f"{args.other} is not a checkout of this project: there is no train/run.py.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        theirs = args.keep.resolve() if args.keep else folder / "other"
        different = 0
        for name in args.cases:
            expected = outcome(args.other.resolve(), CASES[name], theirs / name)
            found = outcome(HERE, CASES[name], folder / name)
            keys = differences(expected, found)
            different += bool(keys)
            verdict = f"DIFFERENT in {', '.join(keys[:8])}" if keys else "the same"
            print(f"{name}: {len(found)} items, {verdict}", flush=True)
            for key in keys[:3]:
                print(f"  {key}: {expected.get(key)} there, {found.get(key)} here", flush=True)
    if different:
        raise UserError(f"{different} of {len(args.cases)} cases differ.")


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Names of the items of two outcomes that differ, or that only one of them has."""
    return [key for key in sorted({*expected, *found}) if expected.get(key) != found.get(key)]


def outcome(tree: pathlib.Path, flags: list[str], run_dir: pathlib.Path) -> dict[str, Any]:
    """Everything that a run and its score say, by name; a run that is there already is not made again.

    Args:
      tree: the checkout.
      flags: of its ``train.run``.
      run_dir: where the run is, or goes.
    """
    if not run_dir.exists():
        run(tree, "train.run", *flags, "--run-dir", str(run_dir))
    seeds = sorted(run_dir.glob("seed-*")) or [run_dir]
    items: dict[str, Any] = {}
    for number, seed in enumerate(seeds):
        for line in map(json.loads, (seed / "metrics.jsonl").read_text().splitlines()):
            for key, value in line.items():
                if key != "wall_s" and not key.startswith(("time/", "speed/")):
                    items[f"seed {number}, step {line['env_steps']}: {key}"] = value
        for manifest in sorted(seed.glob(f"checkpoints/*/{MANIFEST_FILE}")):
            there = read_manifest(manifest.parent)
            for part, arrays in there.arrays.items():
                for name, stored in there.stored_names(part).items():
                    items[f"seed {number}, checkpoint {manifest.parent.name}: {part}.{name}"] = arrays[stored]
        items[f"seed {number}, score"] = json.loads(run(tree, "eval.run", str(seed), "--episodes", "4", "--json"))
    return items


def run(tree: pathlib.Path, module: str, *flags: str) -> str:
    """Runs a command of a checkout; returns what it prints.

    Raises:
      UserError: it failed; one sentence.
    """
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, "-m", module, *flags], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{module} failed in {tree}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(run_command(Args, compare, "python -m benchmarks.same_numbers"))

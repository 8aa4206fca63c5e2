"""``python -m benchmarks.evidence``: trains what the studies lack, one run at a time, the most valuable first.

A signal that stops a run stops it at any time: the run under way writes a checkpoint, and the next start goes on from there.
With ``status`` it shows what has ended, what is under way and what is left.

This process only starts programs. It imports neither JAX nor anything that does, so that it takes nothing from the run. So
it does not use `envs.command` either.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

from benchmarks.evidence.files import DamagedError, Files, status
from benchmarks.evidence.studies import STUDIES
from benchmarks.processes import ROOT, Stop, locked, run_child

RESULTS = ROOT / "benchmarks" / "results" / "evidence"


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description="Train what the studies lack.")
    parser.add_argument("command", nargs="?", choices=["run", "status"], default="run")
    parser.add_argument("--work-dir", type=pathlib.Path, default="runs/evidence", help="of the run directories")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help="folder of what has ended")
    parser.add_argument("--only", choices=[study.name for study in STUDIES], help="one study; default: all")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes; default: when all runs have ended")
    chosen = parser.parse_args(args)
    work_dir = chosen.work_dir.expanduser().resolve()
    runs = [run for study in STUDIES if chosen.only in (None, study.name) for run in study.runs()]
    files = [Files(run, work_dir, chosen.results) for run in runs]
    if chosen.command == "status":
        print(status(files))
        return 0
    with locked(work_dir) as lock:
        return train(files, lock, Stop(chosen.minutes))


def train(files: list[Files], lock: int, stop: Stop) -> int:
    """Trains the runs that have no result yet, one after another.

    A run that fails is set aside, and the next one begins; the next start of the runner tries it again.

    Returns:
      The exit code: 0, or 1 if a run failed, or 128 + the number of the signal that stopped the runner.
    """
    environment = json.loads(subprocess.check_output([sys.executable, "-c", _ENVIRONMENT], cwd=ROOT, text=True))
    environment["nice"] = os.nice(0)  # a run of low priority beside other work takes longer than the machine needs
    failed = False
    for one in files:
        if one.result.exists():
            continue
        if stop:
            break
        print(f"{time.strftime('%Y-%m-%d %H:%M')} {one.run.path}", flush=True)
        one.directory.parent.mkdir(parents=True, exist_ok=True)
        one.failure.unlink(missing_ok=True)
        with one.starts.open("a") as starts:
            starts.write(json.dumps(environment) + "\n")
        code, reason = _train_one(one, lock, stop), None
        if code == 0:
            try:
                one.keep()
            except DamagedError as error:
                reason = str(error)
        elif not stop:
            reason = f"exit code {code}, {one.last_words()}"
        if reason:
            failed = True
            one.failure.write_text(reason + "\n")
            print(f"{one.run.path} failed: {reason}", flush=True)
    return 128 + stop.signal if stop.signal else int(failed)


_ENVIRONMENT = "import json; from benchmarks.report import environment; print(json.dumps(environment()))"
"""A program of its own, since it starts JAX."""


def _train_one(files: Files, lock: int, stop: Stop) -> int:
    """Begins or resumes a run in a process of its own; returns that process's exit code."""
    command = [sys.executable, "-m", "train.run", "--run-dir", str(files.directory), *files.run.flags]
    if (files.directory / "config.json").exists():
        command.append("--resume")
    return run_child(command, files.output, lock, stop.__bool__)


if __name__ == "__main__":
    sys.exit(main())

"""``make demo``: trains, scores in Gymnasium, plots the learning curve and films, all within minutes on a CPU.

It runs the same commands that a user types.
"""

import pathlib
import shlex
import shutil
import subprocess
import sys
import time

RUN_DIR = pathlib.Path("runs/demo")


def python(*args: str) -> None:
    """Runs ``python -m ...`` as a user would. If it fails, the demo ends with the same exit code."""
    print(f"\n$ python -m {shlex.join(args)}", flush=True)
    code = subprocess.run([sys.executable, "-m", *args], check=False).returncode
    if code:
        sys.exit(code)


def main() -> None:
    """Runs the demo, and first removes what an earlier one left."""
    started = time.perf_counter()
    if RUN_DIR.exists():
        shutil.rmtree(RUN_DIR)
    run_dir = str(RUN_DIR)
    python("train.run", "--env", "inverted_double_pendulum", "--preset", "quick", "--run-dir", run_dir, *sys.argv[1:])
    python("eval.run", run_dir, "--simulator", "gymnasium")
    python("eval.plot", run_dir, "--out", f"{run_dir}/curve.png")
    python("eval.render", run_dir, "--out", f"{run_dir}/film.mp4", "--steps", "200")
    print(f"\nThe demo took {time.perf_counter() - started:.0f} s; look at {run_dir}/curve.png and {run_dir}/film.mp4.")


if __name__ == "__main__":
    main()

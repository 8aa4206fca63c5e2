"""The suite ``startup``: from the start of Python to the first log line."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks.measuring import Row


def measure(full: bool) -> Iterator[Row]:
    """Seconds from the start of Python to the first log line of humanoid: cold, with compiled programs kept, and resumed.

    Until that line a fresh run fills its replay with 2000 transitions, makes two gradient steps and plays one episode of an
    evaluation. A resumed run, whose checkpoint holds a replay of 400 000 rows (0.6 GB), makes 126 gradient steps.
    """
    for engine in ("native", "mjx") if full else ("native",):
        with tempfile.TemporaryDirectory() as folder:
            for state, run, chunks in (("cold", "first", 1), ("cached", "second", 1), ("resumed", "first", 2)):
                command = [sys.executable, "-c", _START, engine, f"{folder}/cache", f"{folder}/{run}", str(chunks)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds = {
                    words[0]: float(words[1])
                    for line in done.stdout.splitlines()
                    if len(words := line.split()) == 2 and words[0] in ("import", "first")
                }
                yield Row(f"{engine}, {state}: imports", seconds["import"], "s")
                yield Row(f"{engine}, {state}: first log line", seconds["first"], "s")


_START = """
import time; started = time.perf_counter()
import train.loop, train.presets, dataclasses, sys
print("import", time.perf_counter() - started, flush=True)
engine, cache, run_dir, chunks = sys.argv[1:]
config = train.presets.preset("quick", "humanoid", "dsac_e")
steps = config.learning_starts + config.num_envs
config = dataclasses.replace(config, total_steps=int(chunks) * steps, log_steps=steps, eval_steps=10**9, eval_episodes=1,
                             run_dir=run_dir, compilation_cache=cache, physics=engine)
train.loop.ProgressDisplay.show = lambda *_: print("first", time.perf_counter() - started, flush=True)
train.loop.train(config, resume=chunks != "1")
"""

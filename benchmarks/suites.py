"""The suites of ``python -m benchmarks.run``: each yields rows of a case, a figure and its unit."""

import dataclasses
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import envs
from benchmarks.engines import seconds_per_step
from benchmarks.updates import program
from mjx_tecrl import AGENTS
from mjx_tecrl.replay import init_replay, insert, sample
from train.config import Config
from train.learner import Learner
from train.presets import preset

REPEATS = 3
"""of a measurement, of which the fastest counts: noise only ever adds"""


class Row(NamedTuple):
    """One figure.

    Attributes:
      case: what was measured, unique in its suite.
      value: the figure.
      unit: of it; with a figure in "/s" more is better.
    """

    case: str
    value: float
    unit: str


def fastest(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the fastest of ``repeats`` runs."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def physics(full: bool) -> Iterator[Row]:
    """Steps of the worlds alone: random actions, automatic resets."""
    worlds = (16, 256, 4096) if full else (16, 256)
    for task in ("humanoid", "hopper", "half_cheetah", "ant") if full else ("humanoid", "hopper"):
        for engine in envs.task(task).engines if full else ("native", "mjx"):
            made = envs.make(task, physics=engine)
            for number in worlds:
                seconds = seconds_per_step(made, number, least=1.0)
                yield Row(f"{task}, {engine}, {number} worlds", number / seconds, "env steps/s")


def replay(full: bool) -> Iterator[Row]:
    """Inserting a row of all worlds (hopper's), and drawing a batch of 256, over the ring's size: both should be flat."""
    worlds, steps = 16, 100
    row = envs.Row(
        obs=jnp.zeros((worlds, 11)),
        action=jnp.zeros((worlds, 3)),
        reward=jnp.zeros(worlds),
        terminated=jnp.zeros(worlds, bool),
        done=jnp.zeros(worlds, bool),
        valid=jnp.ones(worlds, bool),
    )

    @functools.partial(jax.jit, donate_argnums=0)
    def inserts(ring: Any) -> Any:
        return jax.lax.fori_loop(0, steps, lambda _, ring: insert(ring, row), ring)

    @jax.jit
    def samples(ring: Any, key: jax.Array) -> Any:
        def add(total: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
            return total + sum(x.sum() for x in jax.tree.leaves(sample(ring, key, 256, 1, 0.99))), None

        return jax.lax.scan(add, jnp.zeros(()), jax.random.split(key, steps))[0]

    for size in (10_000, 100_000, 1_000_000, 4_000_000) if full else (10_000, 1_000_000):
        ring = jax.block_until_ready(inserts(init_replay(row, size // worlds)))

        def insert_many() -> None:
            nonlocal ring
            ring = jax.block_until_ready(inserts(ring))

        yield Row(f"insert {worlds} of {size:,}", 1e6 * fastest(insert_many) / steps, "µs")
        draw = functools.partial(samples, ring, jax.random.key(0))
        jax.block_until_ready(draw())
        yield Row(f"sample 256 of {size:,}", 1e6 * fastest(lambda draw=draw: jax.block_until_ready(draw())) / steps, "µs")


def update(full: bool) -> Iterator[Row]:
    """Gradient steps of every agent with a replay, and how far they are from what this machine's matrix products allow.

    The floor of an update is its floating-point operations, as the compiler counts them, at the rate of a large product.
    """
    peak = matmul_rate()
    yield Row("matrix product of 1024 x 1024", peak / 1e9, "Gflop/s")
    agents = [name for name, kind in AGENTS.items() if preset("paper", "humanoid", name).replay_size]
    for agent in agents if full else ("dsac_e", "fast_sac_era"):
        for batch in (256, 4096) if full else (256,):
            turn, flops = program("paper", "humanoid", agent, batch, updates=10)
            seconds = fastest(turn) / 10
            case = f"{agent}, batch {batch}"
            yield Row(case, 1 / seconds, "updates/s")
            yield Row(f"{case}: floor / time", flops / peak / seconds, "")


def matmul_rate(size: int = 1024) -> float:
    """Floating-point operations per second of a square matrix product in float32, as agents make them."""
    a = jnp.ones((size, size))
    multiply = jax.jit(lambda a: a @ a)
    jax.block_until_ready(multiply(a))
    return 2 * size**3 / fastest(lambda: jax.block_until_ready(multiply(a)), 10)


def train(full: bool) -> Iterator[Row]:
    """Iterations of preset quick, and what takes their time; measured one by one, so that a share may fall below 0."""
    for task in ("humanoid", "hopper", "half_cheetah") if full else ("hopper",):
        for engine in ("native", "mjx") if full else ("native",):
            for agent in ("sac", "dsac_e"):
                yield from _iterations(task, engine, agent)


def _iterations(task: str, engine: str, agent: str) -> Iterator[Row]:
    config = preset("quick", task, agent)
    steps = 200 if engine == "native" else 5
    config = dataclasses.replace(config, physics=engine, log_steps=steps * config.num_envs)
    learning = _seconds_per_iteration(dataclasses.replace(config, learning_starts=config.batch_size))
    collecting = _seconds_per_iteration(dataclasses.replace(config, learning_starts=config.replay_size - 1))
    stepping = seconds_per_step(envs.make(task, physics=engine), config.num_envs, least=0.5)
    case = f"{agent} on {task}, {engine}, {config.num_envs} worlds"
    yield Row(case, config.num_envs / learning, "env steps/s")
    yield Row(f"{case}: physics", stepping / learning, "of the time")
    yield Row(f"{case}: rest of the collection", (collecting - stepping) / learning, "of the time")
    yield Row(f"{case}: learning", (learning - collecting) / learning, "of the time")


def _seconds_per_iteration(config: Config) -> float:
    """One step of all worlds with its gradient steps, once there are any."""
    learner = Learner(config.validate())
    pool = learner.draw_pool(learner.root, jnp.zeros((), jnp.int32))
    state = learner.init(learner.root, pool)

    def chunk() -> None:
        nonlocal state
        state, _ = learner.train_chunk(state, pool)
        jax.block_until_ready(state)

    chunk()  # compiles
    while int(state.iterations) * config.num_envs < config.batch_size:
        chunk()
    return fastest(chunk) / learner.chunk_iterations


_START = """
import time; started = time.perf_counter()
import train.loop, train.presets, dataclasses, sys
print("import", time.perf_counter() - started, flush=True)
engine, cache, run_dir, turns = sys.argv[1:]
config = train.presets.preset("quick", "humanoid", "dsac_e")
steps = config.learning_starts + config.num_envs
config = dataclasses.replace(config, total_steps=int(turns) * steps, log_steps=steps, eval_steps=10**9, eval_episodes=1,
                             run_dir=run_dir, compilation_cache=cache, physics=engine)
train.loop.ProgressDisplay.show = lambda *_: print("first", time.perf_counter() - started, flush=True)
train.loop.train(config, resume=turns != "1")
"""


def startup(full: bool) -> Iterator[Row]:
    """Seconds from the start of Python to the first log line of humanoid: cold, with compiled programs kept, and resumed.

    Until that line a fresh run fills its replay with 2000 transitions, makes two gradient steps and plays one episode of an
    evaluation; a resumed one, whose checkpoint holds a replay of 400 000 rows (0.6 GB), makes 126 gradient steps.
    """
    for engine in ("native", "mjx") if full else ("native",):
        with tempfile.TemporaryDirectory() as folder:
            for state, run, turns in (("cold", "first", 1), ("cached", "second", 1), ("resumed", "first", 2)):
                command = [sys.executable, "-c", _START, engine, f"{folder}/cache", f"{folder}/{run}", str(turns)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds = {
                    words[0]: float(words[1])
                    for line in done.stdout.splitlines()
                    if len(words := line.split()) == 2 and words[0] in ("import", "first")
                }
                yield Row(f"{engine}, {state}: imports", seconds["import"], "s")
                yield Row(f"{engine}, {state}: first log line", seconds["first"], "s")


def scaling(full: bool) -> Iterator[Row]:
    """Several seeds in one program, and several devices: wall time of a chunk against that of one seed on one device.

    On a machine without several accelerators the devices are virtual: they share its cores, and show what sharing costs.
    """
    config = dataclasses.replace(preset("quick", "hopper", "sac"), learning_starts=256, log_steps=16 * 50)
    alone = None
    for seeds in (1, 2, 4, 8) if full else (1, 2, 4):
        seconds = _seconds_per_iteration(dataclasses.replace(config, num_seeds=seeds))
        alone = alone or seconds
        yield Row(f"{seeds} seeds", seeds / seconds, "updates/s")
        yield Row(f"{seeds} seeds: time against that of as many single runs", seconds / (seeds * alone), "")
    command = [sys.executable, "-c", _DEVICES, str(8 if full else 2)]
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    lines = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    rates = {devices: float(rate) for kind, devices, rate in (line.split() for line in lines) if kind == "devices"}
    for devices, rate in rates.items():
        yield Row(f"{devices} devices", rate, "env steps/s")
        yield Row(f"{devices} devices: time against that of one", rates["1"] / rate, "")


_DEVICES = """
import dataclasses, sys
import jax
from benchmarks.suites import _seconds_per_iteration
from train.presets import preset
config = dataclasses.replace(preset("quick", "hopper", "sac"), num_envs=256, learning_starts=512, log_steps=256 * 20)
for devices in (1, 2, 4, 8):
    if devices <= min(jax.device_count(), int(sys.argv[1])):
        print("devices", devices, config.num_envs / _seconds_per_iteration(dataclasses.replace(config, devices=devices)))
"""


SUITES: dict[str, Callable[[bool], Iterator[Row]]] = {
    suite.__name__: suite for suite in (physics, replay, update, train, startup, scaling)
}

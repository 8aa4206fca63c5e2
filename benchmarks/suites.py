"""The suites of ``python -m benchmarks.run``: each yields rows of a case, a figure and its unit."""

import dataclasses
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, get_args
from unittest import mock

import jax
import jax.numpy as jnp

import envs
from benchmarks.engines import seconds_per_step, stepper
from benchmarks.updates import program
from envs.engines import Derived, Engine, ModelFields, PhysicsState
from envs.engines.base import NO_FIELDS
from mjx_tecrl import AGENTS
from mjx_tecrl.agent import MatmulPrecision
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


def fastest(*actions: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Seconds of the fastest of ``repeats`` runs of each action; they take turns, so that noise falls on all."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(repeats):
        for action, measured in zip(actions, times, strict=True):
            started = time.perf_counter()
            action()
            measured.append(time.perf_counter() - started)
    return [min(measured) for measured in times]


def physics(full: bool) -> Iterator[Row]:
    """Steps of the worlds alone: random actions, automatic resets. MJX's floor takes a loop for one pass: there are more."""
    worlds = (16, 256, 4096) if full else (16, 256)
    peak, bandwidth = matmul_rate(), memory_rate()
    for task in ("humanoid", "hopper", "half_cheetah", "ant") if full else ("humanoid", "hopper"):
        for engine in envs.task(task).engines if full else ("native", "mjx"):
            made = envs.make(task, physics=engine)
            for number in worlds:
                if jax.default_backend() == "cpu" and engine != "native" and number > 256:
                    continue  # minutes for a figure that hardly differs
                seconds = seconds_per_step(made, number, least=1.0)
                yield Row(f"{task}, {engine}, {number} worlds", number / seconds, "env steps/s")
                if engine == "mjx":
                    flops, moved = _cost_of_step(made, number)
                    yield _floor(f"{task}, {engine}, {number} worlds", flops, moved, peak, bandwidth, seconds)


def _cost_of_step(task: envs.MujocoTask, worlds: int) -> tuple[float, float]:
    """Floating-point operations of a step of all worlds, and the bytes of their states, read and written."""
    qpos, qvel, ctrl = (
        jax.ShapeDtypeStruct((worlds, size), jnp.float32) for size in (task.model.nq, task.model.nv, task.model.nu)
    )
    state, _ = jax.eval_shape(jax.vmap(task.engine.init), qpos, qvel)
    substep = jax.jit(jax.vmap(lambda state, ctrl: task.engine.step(state, ctrl, 1)))
    costs: Any = substep.lower(state, ctrl).cost_analysis()
    return task.substeps * costs["flops"], 2 * sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))


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

    for size in (10_000, 100_000, 1_000_000, 4_000_000) if full else (10_000, 4_000_000):
        ring = jax.block_until_ready(inserts(init_replay(row, size // worlds)))

        def insert_many() -> None:
            nonlocal ring
            ring = jax.block_until_ready(inserts(ring))

        yield Row(f"insert {worlds} of {size:,}", 1e6 * fastest(insert_many)[0] / steps, "µs")
        yield Row(f"sample 256 of {size:,}", 1e6 * _fastest_of(samples, ring, jax.random.key(0)) / steps, "µs")


def update(full: bool) -> Iterator[Row]:
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
                yield _floor(case, made.flops, made.bytes, peak, bandwidth, seconds)


def _floor(case: str, flops: float, moved: float, peak: float, bandwidth: float, seconds: float) -> Row:
    return Row(f"{case}: floor / time", max(flops / peak, moved / bandwidth) / seconds, "")


def matmul_rate(size: int = 1024) -> float:
    """Floating-point operations per second of a square matrix product in float32."""
    a = jnp.ones((size, size))
    multiply = jax.jit(functools.partial(jnp.matmul, precision="float32"))
    return 2 * size**3 / _fastest_of(multiply, a, a)


def memory_rate(size: int = 2**26) -> float:
    """Bytes per second read and written where 1 is added to each number of a large array, in place."""
    add = jax.jit(lambda a: a + 1, donate_argnums=0)
    a = jnp.ones(size)

    def run() -> None:
        nonlocal a
        a = jax.block_until_ready(add(a))

    run()  # compiles
    return 2 * a.nbytes / fastest(run, repeats=10)[0]


def _fastest_of(function: Callable[..., jax.Array], *arguments: jax.Array) -> float:
    run = lambda: jax.block_until_ready(function(*arguments))  # noqa: E731
    run()  # compiles
    return fastest(run, repeats=10)[0]


def train(full: bool) -> Iterator[Row]:
    """Steps of all worlds with their gradient steps, by preset quick (on a GPU: parallel), and what takes their time.

    The parts by leaving out learning, then physics too. In full also how much faster the native engine makes the whole.
    """
    cpu = jax.default_backend() == "cpu"
    for task in ("humanoid", "hopper", "half_cheetah" if cpu else "ant") if full else ("hopper",):
        agents = ("sac", "dsac_e") if cpu else ("dsac_e", "fast_sac_era")
        for agent in agents if full else agents[:1]:
            yield from _parts(preset("auto", task, agent))
        if full and cpu:
            config = preset("quick", task, "sac")
            native, mjx = (
                _iteration(dataclasses.replace(config, physics=engine), steps) for engine, steps in _STEPS.items()
            )
            times = fastest(native, mjx)
            seconds, slow = (taken / steps for taken, steps in zip(times, _STEPS.values(), strict=True))
            yield Row(f"sac on {task}, mjx, {config.num_envs} worlds", config.num_envs / slow, "env steps/s")
            yield Row(f"sac on {task}, {config.num_envs} worlds: native / mjx", slow / seconds, "")


_STEPS = {"native": 100, "mjx": 5}
"""steps of all worlds in a measurement on a CPU"""


def _parts(config: Config) -> Iterator[Row]:
    learning, collecting, thinking = fastest(_iteration(config, 100), *_collecting(config, 100))
    case = f"{config.agent} on {config.env}, {config.num_envs} worlds"
    yield Row(case, 100 * config.num_envs / learning, "env steps/s")
    yield Row(f"{case}: physics", (collecting - thinking) / learning, "of the time")
    yield Row(f"{case}: rest of the collection", thinking / learning, "of the time")
    yield Row(f"{case}: learning", (learning - collecting) / learning, "of the time")


def _collecting(config: Config, steps: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Steps of all worlds without gradient steps, and the same in worlds that stand still."""

    def stand_still(
        self: Engine, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        _, derived = jax.eval_shape(self.init, state.qpos, state.qvel, fields)
        return state, {name: jnp.zeros(x.shape) for name, x in derived.items()}

    moving = _iteration(config, steps, learns=False)
    with mock.patch.object(type(envs.make(config.env, physics=config.physics).engine), "step", stand_still):
        return moving, _iteration(config, steps, learns=False)


def _iteration(config: Config, steps: int, learns: bool = True) -> Callable[[], None]:
    """A compiled chunk of a run: so many steps of all worlds, with their gradient steps, or before the first of them."""
    learning_starts = config.batch_size if learns else config.replay_size - 1
    config = dataclasses.replace(config, log_steps=steps * config.num_envs, learning_starts=learning_starts)
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
    return chunk


def collection(full: bool) -> Iterator[Row]:
    """What collecting takes beside the physics, in 4096 worlds: policy, noise, normaliser, replay, bookkeeping."""
    for task in ("humanoid", "hopper") if full else ("hopper",):
        steps = 3 if jax.default_backend() == "cpu" else 50
        rows = 8 * steps  # more than are collected here
        config = dataclasses.replace(preset("parallel", task, "dsac_e"), num_envs=4096, replay_size=4096 * rows)
        collecting, thinking = fastest(*_collecting(config, steps), repeats=5)
        yield Row(f"{task}, 4096 worlds", 4096 * steps / collecting, "env steps/s")
        yield Row(f"{task}, 4096 worlds: all but the physics", thinking / (collecting - thinking), "of the physics' time")


def overlap(full: bool) -> Iterator[Row]:
    """Whether physics and gradient steps gain from being done at the same time, each in a thread of its own: an upper bound.

    A schedule with one step of lag could save no more: here neither waits for the other. There is none: tried as one program
    (batches drawn before the row is there, so that the gradient steps do not need the physics) it was half as fast on a CPU.
    """
    for task in ("humanoid", "hopper") if full else ("hopper",):
        yield from _overlapping(preset("auto", task, "sac"), steps=100)


def _overlapping(config: Config, steps: int) -> Iterator[Row]:
    step = stepper(envs.make(config.env, physics="auto"), config.num_envs)
    learn = program(config.preset, config.env, config.agent, config.batch_size, steps * config.updates_per_step).run

    def one_after_the_other() -> None:
        step(steps)
        learn()

    def at_once() -> None:
        with ThreadPoolExecutor(2) as threads:
            for future in [threads.submit(step, steps), threads.submit(learn)]:
                future.result()

    apart, together = fastest(one_after_the_other, at_once, repeats=5)
    case = f"{config.agent} on {config.env}, {config.num_envs} worlds"
    yield Row(f"{case}: one after the other", steps / apart, "iterations/s")
    yield Row(f"{case}: at once", steps / together, "iterations/s")
    yield Row(f"{case}: gain", apart / together, "")


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
    config = preset("quick", "hopper", "sac")
    numbers = (1, 2, 4, 8) if full else (1, 2, 4)
    if jax.default_backend() != "cpu":
        numbers += (16, 32)
    made = [_iteration(dataclasses.replace(config, num_seeds=seeds), 50) for seeds in numbers]
    times = fastest(*made)
    for seeds, seconds in zip(numbers, times, strict=True):
        yield Row(f"{seeds} seeds", 50 * seeds / seconds, "updates/s")
        yield Row(f"{seeds} seeds: time against that of as many single runs", seconds / (seeds * times[0]), "")
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
from benchmarks.suites import _iteration, fastest
from train.presets import preset
config = dataclasses.replace(preset("quick", "hopper", "sac"), num_envs=256)
numbers = [n for n in (1, 2, 4, 8) if n <= min(jax.device_count(), int(sys.argv[1]))]
times = fastest(*(_iteration(dataclasses.replace(config, devices=devices), 20) for devices in numbers))
for devices, seconds in zip(numbers, times):
    print("devices", devices, 20 * config.num_envs / seconds)
"""


SUITES: dict[str, Callable[[bool], Iterator[Row]]] = {
    suite.__name__: suite for suite in (physics, replay, update, train, collection, overlap, startup, scaling)
}

"""The suite ``train``: a run's iterations as a whole."""

import dataclasses
from collections.abc import Iterator

import jax

from benchmarks.measuring import Row, fastest
from benchmarks.suites.chunks import chunk_program, collecting_programs
from train.config import Config
from train.presets import preset


def measure(full: bool) -> Iterator[Row]:
    """Steps of all worlds with their gradient steps, by preset quick (on a GPU: parallel), and what takes their time.

    The parts are measured by leaving out the learning, and then the physics too. The full form also measures how much faster
    the native engine makes the whole.
    """
    cpu = jax.default_backend() == "cpu"
    for task in ("humanoid", "hopper", "half_cheetah" if cpu else "ant") if full else ("hopper",):
        agents = ("sac", "dsac_e") if cpu else ("dsac_e", "fast_sac_era")
        for agent in agents if full else agents[:1]:
            yield from _parts(preset("auto", task, agent))
        if full and cpu:
            config = preset("quick", task, "sac")
            native, mjx = (
                chunk_program(dataclasses.replace(config, physics=engine), steps) for engine, steps in _STEPS.items()
            )
            times = fastest(native, mjx)
            seconds, slow = (taken / steps for taken, steps in zip(times, _STEPS.values(), strict=True))
            yield Row(f"sac on {task}, mjx, {config.num_envs} worlds", config.num_envs / slow, "env steps/s")
            yield Row(f"sac on {task}, {config.num_envs} worlds: native / mjx", slow / seconds, "")


_STEPS = {"native": 100, "mjx": 5}
"""Steps of all worlds in a measurement on a CPU, by engine."""


def _parts(config: Config) -> Iterator[Row]:
    learning, collecting, thinking = fastest(chunk_program(config, 100), *collecting_programs(config, 100))
    case = f"{config.agent} on {config.env}, {config.num_envs} worlds"
    yield Row(case, 100 * config.num_envs / learning, "env steps/s")
    yield Row(f"{case}: physics", (collecting - thinking) / learning, "of the time")
    yield Row(f"{case}: rest of the collection", thinking / learning, "of the time")
    yield Row(f"{case}: learning", (learning - collecting) / learning, "of the time")

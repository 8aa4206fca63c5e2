"""The suite ``collection``: steps of all worlds without replay and gradient steps."""

import dataclasses
from collections.abc import Iterator

import jax

from benchmarks.measuring import Row, fastest
from benchmarks.suites.chunks import collecting_programs
from train.presets import preset


def measure(full: bool) -> Iterator[Row]:
    """What collecting costs beside the physics, in 4096 worlds: policy, noise, observations, rewards, automatic resets."""
    for task in ("humanoid", "hopper") if full else ("hopper",):
        steps = 3 if jax.default_backend() == "cpu" else 50
        config = dataclasses.replace(preset("parallel", task, "dsac_e"), num_envs=4096)
        collecting, thinking = fastest(*collecting_programs(config, steps), repeats=5)
        yield Row(f"{task}, 4096 worlds", 4096 * steps / collecting, "env steps/s")
        yield Row(f"{task}, 4096 worlds: all but the physics", thinking / (collecting - thinking), "of the physics' time")

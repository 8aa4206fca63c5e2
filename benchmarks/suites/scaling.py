"""The suite ``scaling``: several seeds, and several devices."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator

import jax

from benchmarks.measuring import Row, fastest
from benchmarks.suites.chunks import chunk_program
from train.presets import preset


def measure(full: bool) -> Iterator[Row]:
    """Several seeds in one program, and several devices: wall time of a chunk against that of one seed on one device.

    On a machine without several accelerators the devices are virtual. They share its cores, and show what sharing costs.
    """
    config = preset("quick", "hopper", "sac")
    numbers = (1, 2, 4, 8) if full else (1, 2, 4)
    if jax.default_backend() != "cpu":
        numbers += (16, 32)
    made = [chunk_program(dataclasses.replace(config, num_seeds=seeds), 50) for seeds in numbers]
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
from benchmarks.measuring import fastest
from benchmarks.suites.chunks import chunk_program
from train.presets import preset
config = dataclasses.replace(preset("quick", "hopper", "sac"), num_envs=256)
numbers = [n for n in (1, 2, 4, 8) if n <= min(jax.device_count(), int(sys.argv[1]))]
times = fastest(*(chunk_program(dataclasses.replace(config, devices=devices), 20) for devices in numbers))
for devices, seconds in zip(numbers, times):
    print("devices", devices, 20 * config.num_envs / seconds)
"""

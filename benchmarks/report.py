"""What a benchmark writes: its figures, and where they were measured."""

import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from typing import Any

import jax

_PACKAGES = ("jax", "jaxlib", "mujoco", "mujoco-mjx", "flax", "optax", "gymnasium", "numpy")


def environment() -> dict[str, Any]:
    """Hardware, versions and commit."""
    device = jax.devices()[0]
    return {
        "device": device.device_kind,
        "devices": jax.device_count(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "commit": _commit(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def describe(where: dict[str, Any]) -> str:
    """One line about an `environment`: the hardware, and the versions that matter most."""
    hardware = f"{where['cpu']}, {where['cores']} cores" if where["device"] == "cpu" else where["device"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("jax", "mujoco", "mujoco-mjx"))
    return f"{hardware} ({versions})"


def open_report(path: pathlib.Path | None) -> dict[str, Any]:
    """What the file holds already, by task, to be added to, and where it is added to."""
    report = json.loads(path.read_text()) if path is not None and path.exists() else {"tasks": {}}
    return report | {"environment": environment()}


def save_report(report: dict[str, Any], path: pathlib.Path | None) -> None:
    """Writes the file, if there is to be one."""
    if path is not None:
        path.write_text(json.dumps(report, indent=1) + "\n")


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _commit() -> str | None:
    try:
        run = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()

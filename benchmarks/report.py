"""What a benchmark writes: its figures, and with them the command, the arguments and the machine they were measured with.

All benchmarks write files of one form: named sections, each of which was measured by one command and holds rows of figures::

    {"sections": {"hopper, native": {"command": ..., "environment": {...}, "arguments": {...}, "rows": [{...}, ...]}}}

A section that a command does not measure again stays as it is. (`benchmarks.learning` writes logs instead, since its figures
are curves.)
"""

import dataclasses
import errno
import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import tempfile
from typing import Any

import jax

from envs.command import UserError
from train.files import replace_file

_PACKAGES = ("jax", "jaxlib", "mujoco", "mujoco-mjx", "flax", "optax", "gymnasium", "numpy")


class Report:
    """The figures of a benchmark, and the file that holds them.

    Args:
      program: the benchmark as a user types it, without its arguments.
      args: the arguments of the benchmark, a dataclass. The field ``json`` names the file; None for no file. The field
        ``markdown``, if there is one, names the page that `save_page` writes.
      where: what `environment` says where the figures are measured; None for this process.

    Raises:
      UserError: a file cannot be written, or the one that is there is not a report; one sentence. So a mistake shows before
        anything is measured.
    """

    def __init__(self, program: str, args: Any, where: dict[str, Any] | None = None):
        self._where = where
        self._command = shlex.join([*program.split(), *sys.argv[1:]])
        self._path: pathlib.Path | None = args.json
        self._page: pathlib.Path | None = getattr(args, "markdown", None)
        arguments = dataclasses.asdict(args)
        self._arguments = {name: value for name, value in arguments.items() if name not in ("json", "markdown")}
        self._measured: set[str] = set()
        for path in filter(None, (self._path, self._page)):
            check_writable(path)
        self.sections: dict[str, dict[str, Any]] = {}
        if self._path is not None and self._path.exists():
            self.sections = read_sections(self._path)

    def add(self, section: str, row: dict[str, Any]) -> None:
        """Adds a row to a section, and writes the file, so that a figure stays if what follows it fails.

        The first row that is added to a section replaces all rows that the file held of it.
        """
        if section not in self._measured:
            self._measured.add(section)
            self.sections[section] = {
                "command": self._command,
                "environment": self._where or environment(),
                "arguments": self._arguments,
                "rows": [],
            }
        self.sections[section]["rows"].append(row)
        if self._path is not None:
            write_sections(self._path, self.sections)

    def rows(self, **having: Any) -> list[dict[str, Any]]:
        """The rows of all sections whose fields have these values."""
        rows = [row for section in self.sections.values() for row in section["rows"]]
        return [row for row in rows if all(row[name] == value for name, value in having.items())]

    def save_page(self, text: str) -> None:
        """Writes a page of the documentation, if the arguments name one."""
        if self._page is not None:
            replace_file(self._page, text.encode())


def write_sections(path: pathlib.Path, sections: dict[str, dict[str, Any]]) -> None:
    """Writes a report's file in one stroke."""
    replace_file(path, json.dumps({"sections": sections}, indent=1, default=str).encode() + b"\n")


def read_sections(path: pathlib.Path) -> dict[str, dict[str, Any]]:
    """The sections of a report's file.

    Raises:
      UserError: it cannot be read, or is not a report; one sentence.
    """
    try:
        sections = json.loads(path.read_text())["sections"]
        for section in sections.values():
            if not {"command", "environment", "arguments"} <= section.keys():
                raise ValueError("a section does not say how it was measured")
            if not all(isinstance(row, dict) for row in section["rows"]):
                raise ValueError("a section holds no rows of figures")
        return sections
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not what --json wrote: {error}.") from error


def check_writable(path: pathlib.Path) -> None:
    """Checks that a file can be written, without changing it.

    Raises:
      UserError: it cannot; one sentence.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error


@functools.cache
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

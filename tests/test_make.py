"""What the Makefile asks pip to install."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def house(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with our Makefile, in which Python writes down its arguments and does nothing."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n')
    python.chmod(0o755)
    nvidia_smi = tmp_path / "bin" / "nvidia-smi"
    nvidia_smi.parent.mkdir()
    nvidia_smi.write_text("#!/bin/sh\nexit 9\n")
    nvidia_smi.chmod(0o755)
    return tmp_path


def installed(house: pathlib.Path, *words: str) -> list[str]:
    """The extras that ``make`` now has pip install, for each call."""
    (house / "calls").write_text("")
    subprocess.run(["make", *words], cwd=house, check=True, capture_output=True, env={"PATH": f"{house}/bin:/usr/bin:/bin"})
    return [line.rpartition("-e .")[2] for line in (house / "calls").read_text().splitlines() if "-e ." in line]


def test_extras_add_up_and_nothing_is_installed_twice(house: pathlib.Path) -> None:
    assert installed(house, "install") == ["[brax,dmc]"]
    assert installed(house, "install") == []
    assert installed(house, "install", "EXTRAS=warp,sweep") == ["[brax,dmc,sweep,warp]"]
    assert installed(house, "install") == []
    assert installed(house, "install", "EXTRAS=warp") == []
    assert installed(house, "install-dev") == ["[brax,dev,dmc,sweep,warp]"]
    assert installed(house, "install") == []


def test_a_machine_with_a_working_driver_gets_cuda(house: pathlib.Path) -> None:
    (house / "bin" / "nvidia-smi").write_text("#!/bin/sh\n")
    assert installed(house, "install") == ["[brax,cuda,dmc]"]

"""What all tests share."""

import gc
import os
import pathlib
from types import SimpleNamespace

# Most of the time goes into compiling programs that run for milliseconds: so without optimisation, and with the older code
# generator for fused operations, which compiles a step of MJX in two thirds of the time. What the newer one makes of it
# without optimisation runs some forty times as long. In one part, since the other core has tests of its own, a program
# takes three quarters of the processor time.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_backend_optimization_level=0",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
        "--xla_llvm_disable_expensive_passes=true",
    ]
)

# Programs compiled so are of no use to anybody else.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"

# isort: split

import envs  # noqa: F401  before MuJoCo, which chooses how to draw when it is imported

# isort: split

import mujoco
import pytest

from envs.command import UserError
from envs.engines.support import warn_once
from envs.opengl import drawing
from tests.missing import pytest_addoption, pytest_configure  # noqa: F401
from tests.runs import shared_program, tiny_config
from train.loop import train


@pytest.fixture(scope="session", autouse=True)
def mujoco_log(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """MuJoCo's log file, which it would otherwise write into the working directory.

    Gymnasium's own half-cheetah, which the parity tests load, makes it report a deprecated attribute.
    """
    config = mujoco.MjLogConfig.get()
    config.logfile = str(tmp_path_factory.mktemp("mujoco") / "MUJOCO_LOG.TXT")
    config.set()
    return pathlib.Path(config.logfile)


# Tracing makes very many small objects, of which few are garbage. Looking through them as often as Python does by default
# takes a twentieth of the processor time in which a small run is traced and compiled.
gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that train in this process, and leave tasks and agents as they are."""
    monkeypatch.setattr("train.loop.Program", shared_program)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a finished run of `tiny_config`; only to be read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.loop.Program", shared_program)
        return train(tiny_config(tmp_path_factory.mktemp("run") / "tiny"))


@pytest.fixture
def nvidia(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretends that JAX computes on an NVIDIA GPU: the project asks for the name and the version of the back end."""
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    monkeypatch.setattr("envs.engines.get_backend", lambda: SimpleNamespace(platform_version="PJRT C API\ncuda 12090"))
    warn_once.cache_clear()


@pytest.fixture(scope="session")
def draws() -> None:
    """Skips a test where this machine has no OpenGL to draw with."""
    try:
        with drawing(16, 16):
            pass
    except UserError:
        pytest.skip("no OpenGL here")

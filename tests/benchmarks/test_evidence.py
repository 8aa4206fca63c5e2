"""The runner of studies: runs end, are stopped and go on, and fail without holding up the others."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.evidence.__main__ import ROOT, main
from benchmarks.evidence.files import Files, read_lines
from benchmarks.evidence.studies import STUDIES, Run, Study, Variant
from tests.runs import TINY_FLAGS
from train.run import parse

FLAGS = (*TINY_FLAGS, "--total-steps", "320")
STUDY = Study("tiny", "Does the runner run?", ("inverted_pendulum",), (Variant("sac", "sac", FLAGS),), (0, 1))
LONG = Study("long", "Does it stop?", ("inverted_pendulum",), (Variant("sac", "sac", (*FLAGS, "--total-steps", "40000")),), (0,))

RUNNER = """
import signal, sys
from benchmarks.evidence import __main__
from tests.benchmarks.test_evidence import LONG
__main__.STUDIES = (LONG,)
sys.exit(__main__.main(sys.argv[1:]))
"""


@pytest.fixture
def place(tmp_path: pathlib.Path) -> list[str]:
    """Flags that keep a runner out of the project's folders."""
    return ["--work-dir", str(tmp_path / "work"), "--results", str(tmp_path / "results")]


def files(run: Run, tmp_path: pathlib.Path) -> Files:
    return Files(run, tmp_path / "work", tmp_path / "results")


@pytest.mark.parametrize("run", [run for study in STUDIES for run in study.runs()], ids=lambda run: str(run.path))
def test_every_run_can_be_given_to_train(run: Run) -> None:
    resume, config = parse(run.flags)
    assert not resume
    config.validate()
    assert (config.env, config.agent, config.preset, config.seed) == (run.task, run.variant.agent, run.study.preset, run.seed)


def test_no_two_runs_write_the_same_files() -> None:
    paths = [run.path for study in STUDIES for run in study.runs()]
    assert len(paths) == len(set(paths))


def test_one_seed_of_every_variant_comes_before_the_next_seed() -> None:
    study = Study("s", "?", ("hopper", "dmc/walker-walk"), (Variant("a", "sac"), Variant("rho-0.5", "sac")), (0, 1))
    assert [run.path.name for run in study.runs()] == [
        *("hopper-a-seed0", "hopper-rho-0.5-seed0", "hopper-a-seed1", "hopper-rho-0.5-seed1"),
        *("dmc-walker-walk-a-seed0", "dmc-walker-walk-rho-0.5-seed0"),
        *("dmc-walker-walk-a-seed1", "dmc-walker-walk-rho-0.5-seed1"),
    ]


def test_the_runner_does_not_load_jax() -> None:
    program = "import sys, benchmarks.evidence.__main__; assert not {'jax', 'numpy', 'mujoco'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)

"""The runner of studies: runs end, are stopped and go on, and fail without holding up the others."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from benchmarks.evidence import __main__ as runner
from benchmarks.evidence.files import DamagedError, Files, read_lines
from benchmarks.evidence.studies import STUDIES, Run, Study, Variant
from tests.runs import CHUNK_STEPS, TINY_FLAGS
from train.interrupt import STOP_SIGNALS
from train.run import parse

Start = Callable[..., int]

PROGRAM = """
import sys
from benchmarks.evidence import __main__ as runner
from tests.benchmarks.test_evidence import tiny_study
runner.STUDIES = (tiny_study(0, total_steps={total_steps}),)
sys.exit(runner.main(sys.argv[1:]))
"""
"""A runner of its own, to send signals to."""


def tiny_study(*seeds: int, total_steps: int = 160) -> Study:
    flags = (*TINY_FLAGS, "--total-steps", str(total_steps), "--eval-steps", str(total_steps // 2))
    return Study("tiny", "Does the runner run?", ("inverted_pendulum",), (Variant("sac", "sac"),), seeds, flags=flags)


def place(tmp_path: pathlib.Path) -> list[str]:
    """Keeps the runner out of the project's folders."""
    return ["--work-dir", str(tmp_path / "work"), "--results", str(tmp_path / "results")]


def files_of(run: Run, tmp_path: pathlib.Path) -> Files:
    return Files(run, tmp_path / "work", tmp_path / "results")


@pytest.fixture
def start(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts the runner in this process with one study."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def started(study: Study, *args: str) -> int:
        monkeypatch.setattr(runner, "STUDIES", (study,))
        return runner.main([*args, *place(tmp_path)])

    yield started
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("run", [run for study in STUDIES for run in study.runs()], ids=lambda run: str(run.path))
def test_every_run_can_be_given_to_train(run: Run) -> None:
    resume, config = parse(run.flags)
    assert not resume
    config.validate()
    chosen = (run.task, run.variant.agent, run.study.preset, run.seed)
    assert (config.env, config.agent, config.preset, config.seed) == chosen


def test_no_two_runs_write_the_same_files() -> None:
    paths = [run.path for study in STUDIES for run in study.runs()]
    assert len(paths) == len(set(paths))


def test_one_seed_of_every_variant_comes_before_the_next_seed(tmp_path: pathlib.Path) -> None:
    study = Study("s", "?", ("hopper", "dmc/walker-walk"), (Variant("a", "sac"), Variant("rho-0.5", "sac")), (0, 1))
    assert [files_of(run, tmp_path).output.name for run in study.runs()] == [
        *("hopper-a-seed0.log", "hopper-rho-0.5-seed0.log", "hopper-a-seed1.log", "hopper-rho-0.5-seed1.log"),
        *("dmc-walker-walk-a-seed0.log", "dmc-walker-walk-rho-0.5-seed0.log"),
        *("dmc-walker-walk-a-seed1.log", "dmc-walker-walk-rho-0.5-seed1.log"),
    ]


def test_the_runner_does_not_load_jax() -> None:
    program = "import sys, benchmarks.evidence.__main__; assert not {'jax', 'numpy', 'mujoco'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=runner.ROOT, check=True)


@pytest.mark.slow
def test_a_damaged_run_is_set_aside_and_the_others_end(
    start: Start, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tiny_study(0, 1)
    damaged, other = (files_of(run, tmp_path) for run in study.runs())
    damaged.directory.mkdir(parents=True)
    (damaged.directory / "config.json").write_text("{")
    (damaged.directory / "metrics.jsonl").write_bytes(b"\xff\x00{")
    assert start(study) == 1
    assert "failed: exit code 2, error: " in capsys.readouterr().out
    assert not damaged.result.exists()

    head, *lines = read_lines(other.result)
    assert (head["task"], head["variant"], head["seed"], head["flags"]) == ("inverted_pendulum", "sac", 1, other.run.flags)
    assert head["config"]["total_steps"] == 160
    assert str(tmp_path) not in json.dumps(head)
    assert head["environments"] == read_lines(other.starts)
    assert 0 < head["train_s"] < head["wall_s"]
    assert [line["env_steps"] for line in lines] == [CHUNK_STEPS, 2 * CHUNK_STEPS]
    assert [set(line) for line in lines] == [set(line) for line in read_lines(other.directory / "metrics.jsonl")]
    assert not list(other.directory.glob("checkpoints/*/replay"))
    assert list(other.directory.glob("checkpoints/*/actor"))
    before = other.result.read_bytes()
    other.keep()
    assert other.result.read_bytes() == before

    assert start(study, "status") == 0
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert "failed: exit code 2" in first
    assert second.split()[1:4] == ["ended", "160", str(lines[-1]["updates"])]

    # Once the damaged directory is gone, its run is trained, and no other.
    shutil.rmtree(damaged.directory)
    assert start(study) == 0
    assert [line["env_steps"] for line in read_lines(damaged.result)[1:]] == [CHUNK_STEPS, 2 * CHUNK_STEPS]
    assert len(read_lines(other.starts)) == 1


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(start: Start, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tiny_study(0, total_steps=4_000)
    [files] = (files_of(run, tmp_path) for run in study.runs())
    program = PROGRAM.format(total_steps=4_000)
    process = subprocess.Popen([sys.executable, "-c", program, *place(tmp_path)], cwd=runner.ROOT)
    try:
        while process.poll() is None and len(read_lines(files.directory / "metrics.jsonl")) < 3:
            time.sleep(0.05)
        with pytest.raises(SystemExit) as refused:
            start(study)
        assert refused.value.code == 2
        assert "another runner works in" in capsys.readouterr().err
    finally:
        process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert not files.result.exists()
    done = len(read_lines(files.directory / "metrics.jsonl"))
    assert 3 <= done < 50

    assert start(study, "status") == 0
    assert "under way, wrote 0 min ago" in capsys.readouterr().out
    assert start(study, "--minutes", "0") == 0  # which leaves everything as it is
    assert len(read_lines(files.starts)) == 1
    assert start(study) == 0
    assert [line["env_steps"] for line in read_lines(files.result)[1:]] == [CHUNK_STEPS * n for n in range(1, 51)]
    assert "Interrupted at" in files.output.read_text()


def test_a_run_is_not_kept_whose_log_ends_too_soon(tmp_path: pathlib.Path) -> None:
    [run] = tiny_study(0).runs()
    files = files_of(run, tmp_path)
    files.directory.mkdir(parents=True)
    (files.directory / "config.json").write_text('{"total_steps": 160, "run_dir": "x"}')
    (files.directory / "metrics.jsonl").write_text('{"env_steps": 80, "wall_s": 1.0}\n{"env_st')
    with pytest.raises(DamagedError, match="ends before"):
        files.keep()
    assert not files.result.exists()

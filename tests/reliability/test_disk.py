"""Disks that are full, and directories that go away, under a run."""

import os
import pathlib
import resource
import shutil
import subprocess
from collections.abc import Callable

import pytest

from envs.command import UserError
from tests.runs import CHUNK_STEPS, quiet, restore_state, tiny_config, untimed
from train.checkpoints import Checkpoints
from train.logs import METRICS_FILE, Logs
from train.loop import train
from train.program import Program
from train.progress import ProgressDisplay

pytestmark = pytest.mark.usefixtures("programs")


@pytest.fixture
def after_line(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Does something in the middle of a run, after its n-th log line."""

    def schedule(number: int, action: Callable[[], object]) -> None:
        show = ProgressDisplay.show

        def then(display: ProgressDisplay, line: dict[str, float]) -> None:
            show(display, line)
            if line["env_steps"] == number * CHUNK_STEPS:
                action()

        monkeypatch.setattr(ProgressDisplay, "show", then)

    return schedule


def limit_files(limit: int) -> None:
    """Limits the size of files (bytes): then writing fails as on a full disk, and the test needs no privileges."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_a_full_disk_costs_checkpoints_but_neither_the_run_nor_its_logs(
    tiny_run: pathlib.Path,
    tmp_path: pathlib.Path,
    after_line: Callable[[int, Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    after_line(1, lambda: limit_files(100))
    after_line(3, lambda: limit_files(unlimited))
    try:
        run_dir = train(tiny_config(tmp_path / "run"), console=quiet())
    finally:
        limit_files(unlimited)
    error = capsys.readouterr().err
    assert "metrics.jsonl cannot be written" in error
    assert "could not be written" in error
    assert "Traceback" not in error
    assert untimed(run_dir) == untimed(tiny_run)
    steps = Checkpoints(run_dir).steps
    assert 160 not in steps
    assert steps[-1] == 320
    assert {path.name for path in (run_dir / "checkpoints").iterdir()} == set(map(str, steps))


def test_a_run_that_cannot_be_saved_at_its_end_says_so(
    tmp_path: pathlib.Path, after_line: Callable[[int, Callable[[], object]], None]
) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    after_line(1, lambda: limit_files(100))
    try:
        with pytest.raises(UserError, match=r"A checkpoint could not be written to .*checkpoints: "):
            train(tiny_config(tmp_path / "run", total_steps=CHUNK_STEPS), console=quiet())
    finally:
        limit_files(unlimited)


def test_a_run_whose_directory_is_deleted_ends_with_one_sentence(
    tmp_path: pathlib.Path, after_line: Callable[[int, Callable[[], object]], None]
) -> None:
    run_dir = tmp_path / "run"
    after_line(2, lambda: shutil.rmtree(run_dir))
    with pytest.raises(UserError, match=r"metrics.jsonl is gone: the run stops"):
        train(tiny_config(run_dir, checkpoint_steps=10**6), console=quiet())
    assert not run_dir.exists()


def test_deleted_checkpoints_are_written_anew(
    tmp_path: pathlib.Path, after_line: Callable[[int, Callable[[], object]], None]
) -> None:
    run_dir = tmp_path / "run"
    after_line(3, lambda: shutil.rmtree(run_dir / "checkpoints", ignore_errors=True))
    train(tiny_config(run_dir, checkpoint_steps=2 * CHUNK_STEPS), console=quiet())
    # The checkpoint of step 160 may have been under way.
    assert restore_state(Checkpoints(run_dir), Program(tiny_config()).state_shapes())[0] == 320


def test_lines_wait_in_memory_while_the_disk_is_full(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = Logs(tmp_path, 0)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    logs.write({"env_steps": 1})
    size = (tmp_path / METRICS_FILE).stat().st_size
    limit_files(size + 5)
    try:
        logs.write({"env_steps": 2})
        logs.write({"env_steps": 3})
        assert (tmp_path / METRICS_FILE).stat().st_size == size
    finally:
        limit_files(unlimited)
    logs.write({"env_steps": 4})
    logs.close()
    assert [line["env_steps"] for line in untimed(tmp_path)] == [1, 2, 3, 4]
    assert capsys.readouterr().err.count("its lines wait in memory") == 1


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pytest hears TensorStore's
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_file_system_that_fills_up(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real file system, of a size that holds some of the checkpoints but not all."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], check=True)
    try:
        with pytest.raises(UserError, match="could not be written"):
            train(tiny_config(disk / "run", total_steps=40 * CHUNK_STEPS, keep_checkpoints=100), console=quiet())
        [_, second, *_, newest] = Checkpoints(disk / "run").steps
        told = capsys.readouterr().err
        warnings = told.count("Training goes on")
        assert "Traceback" not in told
        print(f"{warnings} checkpoints could not be written; the newest is that of step {newest}")
        assert warnings > 0
        shutil.rmtree(disk / "run" / "checkpoints" / str(second))
        train(tiny_config(disk / "run", total_steps=newest, keep_checkpoints=1), resume=True, console=quiet())
    finally:
        subprocess.run(["umount", str(disk)], check=True)

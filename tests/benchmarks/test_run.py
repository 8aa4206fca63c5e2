"""``benchmarks.run``: its tables, its file, its comparison."""

import pathlib
from collections.abc import Iterator

import pytest

from benchmarks import run
from benchmarks.measuring import Row, matmul_rate, memory_rate
from benchmarks.report import environment, read_sections, write_sections
from benchmarks.suites import SUITES, replay
from envs.command import run_command


def speed(full: bool) -> Iterator[Row]:
    """What is claimed."""
    yield Row("small", 2.0, "steps/s")
    yield Row("large", 3000.0 if full else 1500.0, "steps/s")


@pytest.fixture(autouse=True)
def only_one_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SUITES", {"speed": speed})


def command(*args: str) -> int:
    return run_command(run.Args, run.main, "python -m benchmarks.run", list(args))


def test_figures_are_shown_kept_and_compared(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "speed.json"
    assert command("speed", "--json", str(path), "--markdown", str(tmp_path / "speed.md")) == 0
    assert "## speed\n\nWhat is claimed.\n\n`python -m benchmarks.run" in (tmp_path / "speed.md").read_text()
    assert "| large | 1,500 | steps/s |\n" in (tmp_path / "speed.md").read_text()
    kept = read_sections(path)["speed"]
    assert kept["rows"][1] == {"case": "large", "value": 1500.0, "unit": "steps/s"}
    assert {"cpu", "versions", "commit"} <= kept["environment"].keys()
    assert command("--full", "--against", str(path)) == 0
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "large" in line]
    assert [[cell.strip() for cell in line[1:-1]] for line in lines] == [
        ["large", "1,500", "steps/s"],
        ["large", "3,000", "steps/s", "1,500", "2.00"],
    ]


def test_suites_that_are_not_measured_stay_in_the_file(tmp_path: pathlib.Path) -> None:
    path, page = tmp_path / "speed.json", tmp_path / "speed.md"
    row = {"case": "others", "value": 7.0, "unit": "x"}
    earlier = {"command": "an earlier one", "environment": environment(), "arguments": {}, "rows": [row]}
    write_sections(path, {"peers": earlier, "speed": earlier})
    assert command("speed", "--json", str(path), "--markdown", str(page)) == 0
    suites = read_sections(path)
    assert suites["peers"] == earlier
    assert [row["case"] for row in suites["speed"]["rows"]] == ["small", "large"]
    assert (
        page.read_text().index("| large |")
        < page.read_text().index("`an earlier one`, on")
        < page.read_text().index("others")
    )


def test_mistakes_are_one_sentence(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.json"
    other.write_text("[]")
    mistakes = [
        (["sped"], "unknown suite 'sped'; choose from: speed, peers."),
        (["--against", str(tmp_path / "none.json")], "none.json cannot be read: No such file or directory."),
        (["--against", str(other)], "other.json is not what --json wrote"),
        (["--json", str(other)], "other.json is not what --json wrote"),
    ]
    for args, sentence in mistakes:
        assert command(*args) == 2
        assert sentence in capsys.readouterr().err


def test_replay_is_measured_at_every_size() -> None:
    rows = list(replay.measure(full=False))
    assert [row.case for row in rows] == [
        f"{what} of {size}" for size in ("10,000", "4,000,000") for what in ("insert 16", "sample 256")
    ]
    assert all(0 < row.value < 1e5 for row in rows)
    assert matmul_rate(64) > 1e6
    assert memory_rate(1024) > 1e6
    assert set(SUITES) == {"physics", "replay", "update", "train", "collection", "overlap", "startup", "scaling"}

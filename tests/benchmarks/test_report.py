"""The files that benchmarks write, and what all of their commands have in common."""

import dataclasses
import json
import pathlib
import types

import pytest

from benchmarks import (
    buffers,
    checkpoint,
    engines,
    learning,
    memory,
    parity,
    precision,
    run,
    solver_settings,
    updates,
)
from benchmarks.accelerator import __main__ as accelerator
from benchmarks.report import Report, environment, read_sections
from envs.command import UserError, run_command

RESULTS = pathlib.Path(__file__).parents[2] / "benchmarks" / "results"


@dataclasses.dataclass(frozen=True)
class Args:
    task: str = "hopper"
    json: pathlib.Path | None = None


def test_every_row_is_in_the_file_at_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "out.json"
    report = Report("python -m prog", Args(json=path))
    for number in (1, 2):
        report.add("first", {"number": number})
        assert read_sections(path)["first"]["rows"] == [{"number": n} for n in range(1, number + 1)]
    section = read_sections(path)["first"]
    assert section["command"].startswith("python -m prog")
    assert (section["environment"], section["arguments"]) == (environment(), {"task": "hopper"})
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


def test_a_section_that_is_measured_again_replaces_the_old_one_and_others_stay(tmp_path: pathlib.Path) -> None:
    args = Args(json=tmp_path / "out.json")
    for number in (1, 2):
        report = Report("prog", args)
        report.add("always", {"number": number, "kind": "a"})
        if number == 1:
            report.add("once", {"number": number, "kind": "b"})
    rows = Report("prog", args).rows()
    assert sorted((row["number"], row["kind"]) for row in rows) == [(1, "b"), (2, "a")]
    assert Report("prog", args).rows(kind="a") == [{"number": 2, "kind": "a"}]


def test_without_a_file_nothing_is_written(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = Report("prog", Args())
    report.add("section", {"number": 1})
    report.save_page("text")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["", "[]", '{"rows": []}', '{"sections": {"a": {"rows": []}}}', '{"sections": {"a": 3}}', '{"sections": 3}']
)
def test_another_file_is_left_alone(text: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "out.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"out\.json is not what --json wrote"):
        Report("prog", Args(json=path))
    assert path.read_text() == text


def test_the_results_in_the_repository_are_reports() -> None:
    paths = sorted(RESULTS.glob("*.json"))
    assert len(paths) == 10
    for path in paths:
        assert all(section["rows"] and section["environment"]["versions"] for section in read_sections(path).values()), path


@pytest.mark.parametrize(
    ("module", "page"), [(engines, "engines"), (parity, "parity"), (solver_settings, "solver_settings"), (run, "speed")]
)
def test_the_pages_of_the_documentation_are_those_of_the_results(module: types.ModuleType, page: str) -> None:
    report = Report(module.PROGRAM, module.Args(json=RESULTS / f"{page}.json"))
    assert module.page(report) == (RESULTS.parents[1] / "docs" / f"{page}.md").read_text()


WITH_TASKS = (buffers, checkpoint, engines, learning, parity, precision, solver_settings, updates)


def command(module: types.ModuleType, *args: str) -> int:
    return run_command(module.Args, module.main, module.PROGRAM, list(args))


@pytest.mark.parametrize("module", WITH_TASKS)
def test_an_unknown_task_is_one_sentence(module: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(module, "--task", "humanid") == 2
    assert "error: unknown env 'humanid'; did you mean humanoid" in capsys.readouterr().err


@pytest.mark.parametrize("module", [*WITH_TASKS, accelerator, memory, run])
def test_a_file_that_cannot_be_written_is_one_sentence_before_anything_is_measured(
    module: types.ModuleType, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag, path = "--markdown" if module is learning else "--json", tmp_path / "none" / "out.json"
    logs = ["--logs", str(tmp_path)] if module is learning else []
    assert command(module, flag, str(path), *logs) == 2
    assert capsys.readouterr().err == f"error: {path} cannot be written: No such file or directory.\n"


def test_what_was_measured_is_json(tmp_path: pathlib.Path) -> None:
    args = dataclasses.make_dataclass("Paths", [("json", pathlib.Path), ("folder", pathlib.Path)], frozen=True)
    Report("prog", args(tmp_path / "out.json", tmp_path)).add("a", {"number": 1})
    assert json.loads((tmp_path / "out.json").read_text())["sections"]["a"]["arguments"] == {"folder": str(tmp_path)}

"""The command that measures solver settings."""

import pathlib

import pytest

from benchmarks.report import read_sections
from benchmarks.solver_settings import Args, main


@pytest.mark.slow
@pytest.mark.long
def test_it_finds_the_settings_that_suffice_in_every_set_of_states(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    results, page = tmp_path / "settings.json", tmp_path / "settings.md"
    task, settings = "inverted_pendulum", ((1, 1), (2, 6))
    main(Args(task=(task,), states=8, run=(tiny_run,), json=results, settings=settings, markdown=page))
    [measured] = read_sections(results)[task]["rows"]
    assert set(measured["scale"]) == {"random", "energetic", "fallen", "trained"}
    one, two, reference = measured["settings"]
    assert (reference["iterations"], reference["ls_iterations"]) == (100, 50)
    worst = {label: errors["qvel"]["max"] for label, errors in two["to_reference"].items()}
    assert max(worst.values()) < 1e-5
    assert max(errors["qvel"]["max"] for errors in one["to_reference"].values()) > 1e-3
    assert page.read_text().count("| **2 / 6** |") == 1

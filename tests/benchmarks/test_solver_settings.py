"""The command that measures solver settings."""

import itertools
import pathlib
import time

import jax
import jax.numpy as jnp
import pytest

import envs
from benchmarks.report import read_sections
from benchmarks.solver_settings import Args, _step, main


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


@pytest.mark.parametrize(("backend", "clock"), [("cpu", "process_time"), ("gpu", "perf_counter")])
def test_a_gpu_is_timed_by_the_wall(backend: str, clock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor time of the process says nothing of what a GPU does; on a CPU it leaves out what else runs there."""
    task = envs.make("inverted_pendulum", physics="native")
    states = jax.vmap(task.reset)(jax.random.split(jax.random.key(0), 3))
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(time, clock, itertools.count(0, 7).__next__)
    _, seconds = _step(task, states, jnp.zeros((3, 1)), step=lambda states, actions: states)
    assert seconds == [7]

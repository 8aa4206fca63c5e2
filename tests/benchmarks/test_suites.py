"""The suites of ``benchmarks.run``: what they measure on a CPU, and what on a GPU. Nothing is measured here."""

import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.measuring import Row
from benchmarks.suites import collection, physics, scaling, train, update


@pytest.fixture(params=["cpu", "gpu"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Pretends that JAX computes there."""
    monkeypatch.setattr("jax.default_backend", lambda: request.param)
    return request.param


def by_backend(cpu: Any, gpu: Any) -> Callable[[str], Any]:
    return {"cpu": cpu, "gpu": gpu}.__getitem__


def seconds(*actions: object, repeats: int = 1) -> list[float]:
    """In place of `benchmarks.measuring.fastest`: the last action takes the least."""
    return [float(len(actions) - number) for number in range(len(actions))]


def test_collection_makes_more_steps_on_a_gpu(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(collection, "fastest", seconds)
    monkeypatch.setattr(collection, "collecting_programs", lambda config, steps: seen.append(steps) or (None, None))
    rows = list(collection.measure(full=False))
    assert seen == [by_backend(3, 50)(backend)]
    assert rows[0] == Row("hopper, 4096 worlds", 4096 * seen[0] / 2, "env steps/s")


def test_mjx_is_measured_with_many_worlds_only_on_a_gpu(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, int]] = set()
    monkeypatch.setattr(physics, "seconds_per_step", lambda made, number, least: seen.add((made, number)) or 1.0)
    monkeypatch.setattr(physics, "_cost_of_step", lambda made, number: (1.0, 1.0))
    monkeypatch.setattr(physics, "matmul_rate", lambda: 1.0)
    monkeypatch.setattr(physics, "memory_rate", lambda: 1.0)
    monkeypatch.setattr(physics.envs, "make", lambda task, physics: physics)
    list(physics.measure(full=True))
    assert {number for engine, number in seen if engine == "native"} == {16, 256, 4096}
    assert {number for engine, number in seen if engine == "mjx"} == by_backend({16, 256}, {16, 256, 4096})(backend)


def test_precisions_and_large_batches_are_measured_only_on_a_gpu(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[int, str]] = set()

    def program(preset: str, task: str, agent: str, batch: int, updates: int, precision: str) -> Any:
        seen.add((batch, precision))
        return SimpleNamespace(run=None, flops=1.0, bytes=1.0)

    monkeypatch.setattr(update, "program", program)
    monkeypatch.setattr(update, "fastest", seconds)
    monkeypatch.setattr(update, "matmul_rate", lambda: 1.0)
    monkeypatch.setattr(update, "memory_rate", lambda: 1.0)
    rows = list(update.measure(full=True))
    assert len({row.case for row in rows}) == len(rows)
    assert {batch for batch, _ in seen} == by_backend({256, 4096}, {256, 4096, 8192, 32768})(backend)
    assert {precision for _, precision in seen} == by_backend({"float32"}, {"float32", "tensorfloat32", "bfloat16"})(backend)


def test_more_seeds_are_measured_on_a_gpu(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(scaling, "chunk_program", lambda config, steps: seen.append(config.num_seeds))
    monkeypatch.setattr(scaling, "fastest", seconds)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="devices 1 10.0\ndevices 2 20.0\n"))
    rows = list(scaling.measure(full=False))
    assert seen == by_backend([1, 2, 4], [1, 2, 4, 16, 32])(backend)
    assert rows[-1] == Row("2 devices: time against that of one", 0.5, "")


def test_whole_iterations_are_those_of_the_preset_of_the_machine(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str, str, str]] = []

    def chunk_program(config: Any, steps: int) -> None:
        seen.append((config.env, config.agent, config.preset, config.physics))

    monkeypatch.setattr(train, "chunk_program", chunk_program)
    monkeypatch.setattr(train, "collecting_programs", lambda config, steps: (None, None))
    monkeypatch.setattr(train, "fastest", seconds)
    list(train.measure(full=True))
    tasks = ("humanoid", "hopper", by_backend("half_cheetah", "ant")(backend))
    agents = by_backend(("sac", "dsac_e"), ("dsac_e", "fast_sac_era"))(backend)
    auto = [(task, agent, by_backend("quick", "parallel")(backend), "auto") for task in tasks for agent in agents]
    assert [run for run in seen if run[3] == "auto"] == auto
    engines = {(task, "sac", "quick", engine) for task in tasks for engine in ("native", "mjx")}
    assert {run for run in seen if run[3] != "auto"} == by_backend(engines, set())(backend)

"""The compiled program: traced once, its state donated, its options told to the compiler."""

import functools

import jax
import jax.numpy as jnp
import pytest

from tests.runs import tiny_config
from train.program import Program

ROOT = jax.random.key(0)


@functools.cache
def shared_program(agent: str) -> Program:
    """One program for many tests: what takes time is its compilation."""
    return Program(tiny_config(agent=agent))


@pytest.mark.parametrize("agent", ["dsac_e", "ppo"])
def test_no_retracing_after_the_first_chunk(agent: str) -> None:
    program = shared_program(agent)
    state = program.fresh_state()
    for number in range(1, 4):
        state, _ = program.train_chunk(state, number)
    assert program.advance._cache_size() == 1
    assert program.draw_starts._cache_size() == 1


def test_state_is_donated() -> None:
    program = shared_program("dsac_e")
    state = program.fresh_state()
    program.train_chunk(state, 1)
    assert state.replay.rows.obs.is_deleted()


def test_deterministic_reaches_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU the option changes nothing. But a compiler that does not know an option refuses it: it must know this one."""
    number = jnp.zeros((), jnp.int32)
    for determined in (True, False):
        Program(tiny_config(deterministic=determined)).draw_starts(ROOT, number)
    monkeypatch.setattr("train.program._DETERMINISTIC", {"xla_gpu_unheard_of": True})
    Program(tiny_config()).draw_starts(ROOT, number)
    with pytest.raises(jax.errors.JaxRuntimeError, match="No such compile option"):
        Program(tiny_config(deterministic=True)).draw_starts(ROOT, number)


@pytest.mark.parametrize("agent", ["dsac_e", "trpo"])
def test_matrix_products_are_of_the_precision_asked_for(agent: str) -> None:
    # A CPU ignores the precision, so the test reads what the compiler is told.
    for precision, told in (("float32", "HIGHEST"), ("tensorfloat32", "HIGH"), ("bfloat16", "DEFAULT")):
        program = Program(tiny_config(agent=agent, matmul_precision=precision))
        program = program.advance.lower(program.state_shapes(), jax.ShapeDtypeStruct((), jnp.int32)).as_text()
        products = [line for line in program.splitlines() if "dot_general" in line]
        assert len(products) > 5
        assert all(f"precision = [{told}, {told}]" in line for line in products)

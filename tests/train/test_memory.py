"""The memory that a run needs is known before anything is allocated."""

import pathlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from envs.command import UserError
from tests.runs import tiny_config
from train.loop import train
from train.memory import check_memory, predict_memory, shortage_explained
from train.program import Program


def pretend(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    """Pretends that this machine has ``free`` bytes of memory to give."""
    monkeypatch.setattr("train.memory.COMPILER_BYTES", 0)
    memory = type("Memory", (), {"available": free / 0.9})
    monkeypatch.setattr("train.memory.psutil.virtual_memory", lambda: memory)


@pytest.fixture(scope="module")
def program() -> Program:
    """A replay of 40 000 rows of 4 observations, one action and a reward (float32), and three flags."""
    return Program(tiny_config(replay_size=40_000))


REPLAY = 40_000 * (6 * 4 + 3) + 8  # and two counters


def test_the_parts_add_up(program: Program) -> None:
    root = jax.random.key(0)
    starts = program.draw_starts(root, jnp.zeros((), jnp.int32))
    state = program.init(root, starts)
    memory = predict_memory(program, program.state_shapes(), 1000)
    assert memory.experience == REPLAY
    assert memory.scratch == 1000
    total = sum(x.nbytes for x in jax.tree.leaves((state, starts)))
    assert memory.device == total + 1000
    assert memory.copy == total - sum(x.nbytes for x in jax.tree.leaves(starts))
    assert memory == predict_memory(program, state, 1000)


def test_advice_is_enough_and_not_more_than_it_takes(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = program.state_shapes()
    needed = predict_memory(program, shapes)
    rest = needed.device + needed.copy - 2 * REPLAY
    pretend(monkeypatch, rest + REPLAY)
    with pytest.raises(
        UserError, match=r"lower --replay-size to (19\d\d\d|20000) or less, or add --no-checkpoint-replay \(exp"
    ):
        check_memory(program, shapes)
    for values in ({"replay_size": 19_900}, {"checkpoint_replay": False}):
        other = Program(tiny_config(**({"replay_size": 40_000} | values)))
        check_memory(other, other.state_shapes())
    pretend(monkeypatch, rest / 2)
    with pytest.raises(UserError, match="lower --num-envs, to 1 for a start"):
        check_memory(program, shapes)


def test_a_gpus_own_memory_counts_where_it_says_how_much_it_has(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = program.state_shapes()
    needed = predict_memory(program, shapes)
    stats = {"bytes_limit": (needed.device + 1000) / 0.9 + 5000, "bytes_in_use": 5000}
    gpu = SimpleNamespace(memory_stats=lambda: stats, device_kind="NVIDIA H100 80GB HBM3")
    monkeypatch.setattr("train.memory.jax.local_devices", lambda: [gpu])
    pretend(monkeypatch, needed.copy + 10_000)  # too little for a CPU, which holds the state as well
    check_memory(program, shapes)
    pretend(monkeypatch, needed.copy - 10_000)
    with pytest.raises(UserError, match=r"and this machine has .* lower --replay-size to \d+ or less \("):
        check_memory(program, shapes)
    pretend(monkeypatch, 1e12)
    stats["bytes_in_use"] += 10_000
    with pytest.raises(UserError, match=r"and NVIDIA H100 80GB HBM3 has .* to give: lower --replay-size to \d+ or less \("):
        check_memory(program, shapes)


def test_the_programs_scratch_counts(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = program.state_shapes()
    needed = predict_memory(program, shapes)
    pretend(monkeypatch, needed.device + needed.copy + 10_000)
    check_memory(program, shapes, 9_000)
    with pytest.raises(UserError, match="This run needs"):
        check_memory(program, shapes, 11_000)


def test_a_shortage_that_nobody_foresaw_is_one_sentence(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 1e18)
    with pytest.raises(UserError, match=r"less memory than the run needs \(Out of memory allocating \d+ bytes\): lower"):
        train(tiny_config(tmp_path / "run", replay_size=10**12, num_envs=1000, learning_starts=4000))
    with pytest.raises(jax.errors.JaxRuntimeError, match="anything else"), shortage_explained():
        raise jax.errors.JaxRuntimeError("INTERNAL: anything else")

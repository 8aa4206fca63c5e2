"""Predicts the memory that a run needs, and refuses a run that does not fit, before anything is allocated."""

import contextlib
import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import jax
import psutil
from rich.filesize import decimal

from envs.command import UserError
from mjx_tecrl import OnPolicyAgent
from train.collect import empty_row
from train.program import Program
from train.state import TrainState

COMPILER_BYTES = 2**30
"""Memory of the host that the compiler takes: 0.5 to 1 GiB were measured for tasks from a pendulum to a humanoid."""

PLANNED_SHARE = 0.9
"""Share of the free memory that a run may plan with: allocators leave gaps."""


@dataclasses.dataclass(frozen=True)
class Memory:
    """What a run needs, in bytes: on each of its devices, and for ``copy`` on the host.

    Attributes:
      experience: the replay. For an on-policy agent its rollout, until the program is compiled; from then on the rollout is
        part of ``scratch``.
      worlds: all worlds and their start states. The start states count twice, because the old ones are still there while new
        ones are drawn.
      networks: the agent's state and the normaliser.
      scratch: what the training program needs beside its state; 0 before it is compiled.
      copy: the copy from which a checkpoint is written while training goes on.
    """

    experience: int
    worlds: int
    networks: int
    scratch: int
    copy: int

    @property
    def device(self) -> int:
        """What each device needs."""
        return self.experience + self.worlds + self.networks + self.scratch

    def describe(self) -> str:
        """All parts in one line."""
        return ", ".join(f"{name} {decimal(value)}" for name, value in dataclasses.asdict(self).items())


def predict_memory(program: Program, state: TrainState, scratch: int = 0) -> Memory:
    """What a run needs.

    Args:
      program: of the run.
      state: its state, arrays or their shapes.
      scratch: of the compiled training program, bytes; 0 before it is compiled.
    """
    replay, networks = _bytes(state.replay), _bytes(state.actor)
    rest = _bytes(state) - replay - networks
    written = state if program.config.checkpoint_replay else dataclasses.replace(state, replay=())
    rollout = 0
    problem = program.training.problem
    if isinstance(problem.agent, OnPolicyAgent) and not scratch:
        row = _bytes(jax.eval_shape(lambda: empty_row(problem)))
        rollout = program.config.num_seeds * problem.agent.rollout_steps * row // program.config.devices
    return Memory(
        experience=replay + rollout,
        worlds=rest + _bytes(state.envs.pool),
        networks=networks,
        scratch=scratch,
        copy=_bytes(written, sharded=False),
    )


def check_memory(program: Program, state: TrainState, scratch: int = 0) -> Memory:
    """Checks that a run fits into the memory of the device and of the host; returns what it needs.

    Args:
      program: of the run.
      state: the shapes of its state.
      scratch: of the compiled training program, bytes; 0 before it is compiled.

    Raises:
      UserError: it does not fit; the sentence says what to lower, and to what.
    """
    needed = predict_memory(program, state, scratch)
    host_free = int(PLANNED_SHARE * psutil.virtual_memory().available) - (0 if scratch else COMPILER_BYTES)
    copied = int(bool(program.config.replay_size) and program.config.checkpoint_replay)
    device = jax.local_devices()[0]
    here = program.config.devices // jax.process_count()
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        free = int(PLANNED_SHARE * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
        _check(program, needed, needed.device, free, 1, device.device_kind)
        _check(program, needed, needed.copy, host_free, copied, "this machine")
    else:
        _check(program, needed, here * needed.device + needed.copy, host_free, here * (1 + copied), "this machine")
    return needed


@contextlib.contextmanager
def shortage_explained() -> Iterator[None]:
    """Turns a shortage of memory within this block into one sentence.

    A run that was predicted to fit can still lack memory, because other programs take some too.

    Raises:
      UserError: instead of the error about the memory that was refused; one sentence.
    """
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        refused = re.search(r"Out of memory[^.\n]*", str(error))
        if isinstance(error, jax.errors.JaxRuntimeError) and not refused:
            raise
        raise UserError(
            f"There is less memory than the run needs ({refused[0] if refused else 'Out of memory'}): lower --replay-size, "
            "--num-envs or --batch-size, or end what else takes memory."
        ) from error


def _check(program: Program, memory: Memory, needed: int, free: int, held: int, where: str) -> None:
    """Refuses a run that does not fit.

    Args:
      program: of the run.
      memory: what it needs.
      needed: bytes of it that are needed here.
      free: bytes that are free here.
      held: how many times ``needed`` counts the experience.
      where: what to call this place.

    Raises:
      UserError: it does not fit; the sentence says what to lower, and to what.
    """
    if needed <= free:
        return
    config, free = program.config, max(free, 0)
    others = needed - held * memory.experience
    if held and others < free:
        flag, value = "--replay-size", config.replay_size
        if isinstance(agent := program.training.problem.agent, OnPolicyAgent):
            flag, value = "--agent.rollout-steps", agent.rollout_steps
        advice = f"lower {flag} to {(free - others) * value // (held * memory.experience)} or less"
        if held > 1 and needed - memory.experience <= free:
            advice += ", or add --no-checkpoint-replay"
    else:
        flag, value = ("--num-seeds", config.num_seeds) if config.num_seeds > 1 else ("--num-envs", config.num_envs)
        advice = f"lower {flag}, to {max(1, value * free // needed)} for a start"
    raise UserError(
        f"This run needs {decimal(needed)} and {where} has {decimal(free)} to give: {advice} ({memory.describe()})."
    )


def _bytes(tree: Any, *, sharded: bool = True) -> int:
    """Bytes of the part of ``tree`` that each device holds; with ``sharded=False`` those of all of it."""

    def shape(x: Any) -> tuple[int, ...]:
        return x.sharding.shard_shape(x.shape) if sharded and x.sharding is not None else x.shape

    return sum(math.prod(shape(x)) * x.dtype.itemsize for x in jax.tree.leaves(tree))

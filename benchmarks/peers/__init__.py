"""The suite ``peers`` of ``python -m benchmarks.run``: this project's SAC beside others'. ``make peers`` installs them.

Each peer is a process in an environment of its own, with the versions that it needs. The contestants take turns, in which
only one of them works, so that what else the machine does falls on all of them. The fastest turn of a contestant is shown.
A ratio is the median over rounds of the ratio of two turns in the same round.
"""

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple, Protocol

import jax

import envs
from benchmarks.measuring import Row
from envs.command import UserError
from envs.engines import resolve_engine
from train.presets import preset
from train.program import Program
from train.state import Tally

ROOT = pathlib.Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".peers"
"""The folder that ``make peers`` fills."""

ROUNDS = 7
"""Rounds, in each of which every contestant has a turn."""


@dataclasses.dataclass(frozen=True)
class Case:
    """What all contestants do. Adam, the discount and all else are as usual for SAC."""

    counts: str
    """the field of `Turn` that is compared: what most of the time goes into"""
    task: str
    """the task"""
    worlds: int
    """number of worlds"""
    updates: int
    """gradient steps per step of all worlds"""
    steps: int
    """steps of all worlds per turn"""
    slow_steps: int
    """the same for a peer on another physics engine than ours, since on a CPU that engine is slow"""
    hidden: tuple[int, ...] = (256, 256)
    """widths of the hidden layers of every network; the activation is the exact GELU everywhere"""
    batch_size: int = 256
    """transitions per gradient step"""
    replay_size: int = 100_000
    """size of the replay; it is not filled here, since Brax moves the whole of a full replay at every step"""


CASES = (
    Case("env_steps", "humanoid", worlds=64, updates=1, steps=40, slow_steps=2),
    Case("updates", "inverted_pendulum", worlds=4, updates=4, steps=40, slow_steps=40),
    Case("env_steps", "hopper", worlds=64, updates=1, steps=60, slow_steps=5),
    Case("updates", "hopper", worlds=4, updates=4, steps=40, slow_steps=40),
)
SHORT = 2
"""How many of the cases make up the short form."""


class Turn(NamedTuple):
    """What a contestant did in its turn, and the seconds that it took."""

    env_steps: int
    updates: int
    seconds: float


class Contestant(Protocol):
    """Somebody who trains in turns."""

    def begin(self) -> None:
        """Begins a turn."""

    def end(self) -> Turn:
        """Waits for the end of the turn."""


class Ours:
    """This project's SAC, in this process. As in a run, the time of a turn includes drawing its start states."""

    def __init__(self, case: Case):
        config = preset("paper", case.task, "sac")
        config = dataclasses.replace(
            config,
            agent_args=dataclasses.replace(config.agent_args, hidden=case.hidden),
            num_envs=case.worlds,
            updates_per_step=case.updates,
            batch_size=case.batch_size,
            replay_size=case.replay_size,
            learning_starts=case.batch_size,
            log_steps=case.steps * case.worlds,
        )
        self._program = Program(config.validate())
        self._state = self._program.fresh_state()

    def begin(self) -> None:
        """Does nothing: this process works in `end`."""

    def end(self) -> Turn:
        """Counts transitions: a step on which an episode starts is not one."""
        before = updates = int(self._state.updates)
        while updates == before:  # the first turns fill the replay
            started = time.perf_counter()
            self._state, _ = self._program.train_chunk(self._state, updates)
            jax.block_until_ready(self._state)
            seconds, updates = time.perf_counter() - started, int(self._state.updates)
        assert isinstance(self._state.tally, Tally)
        return Turn(int(self._state.tally.stats.valid), updates - before, seconds)


class Peer:
    """A script of this folder in its environment. A line to its input begins a turn, a line of JSON from it ends the turn.

    Args:
      name: the name of the script and of the environment.
      arguments: JSON for the script.
      closing: ends the process when it is closed.

    Raises:
      UserError: the environment is missing; one sentence.
    """

    def __init__(self, name: str, arguments: dict[str, Any], closing: ExitStack):
        self.name = name
        self._process = closing.enter_context(
            subprocess.Popen(
                [python(name), str(ROOT / "benchmarks" / "peers" / f"{name}_sac.py"), json.dumps(arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        )
        closing.callback(self._process.kill)  # if it does not end by itself
        closing.callback(self._stop)

    def _stop(self) -> None:
        """Lets the process end, and its own processes with it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)

    def begin(self) -> None:
        """See `Contestant`."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # `end` says why
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def end(self) -> Turn:
        """See `Contestant`.

        Raises:
          UserError: the peer failed, or works on another kind of device than this process; one sentence.
        """
        assert self._process.stdout is not None
        last = "it said nothing"
        for line in self._process.stdout:
            if line.startswith('{"env_steps"'):
                answer = json.loads(line)
                if (device := answer.pop("device")) != jax.default_backend():
                    raise UserError(f"{self.name} works on the {device}, and this project on the {jax.default_backend()}.")
                return Turn(**answer)
            last = line.strip().rstrip(".") or last
        raise UserError(f"{self.name} failed: {last}.")


def python(name: str) -> pathlib.Path:
    """The interpreter of a peer's environment.

    Raises:
      UserError: it is missing; one sentence.
    """
    path = ENVIRONMENTS / name / "bin" / "python"
    if not path.exists():
        raise UserError(f"{path} is missing: 'make peers' installs what is compared.")
    return path


def peers(full: bool) -> Iterator[Row]:
    """SAC of this project, of Brax and of SBX in turns: the same task, networks, batch, updates per step and worlds.

    Brax trains on our task (`envs.adapters.brax_env`): on MJX, as its users do, and on the engine that we use ourselves. SBX
    trains on Gymnasium's task, whose worlds share one process or have one each.
    """
    for name in ("brax", "sbx"):
        python(name)  # otherwise this would show only after compiling
    for case in CASES if full else CASES[:SHORT]:
        title = {"env_steps": "physics dominates", "updates": "updates dominate"}[case.counts]
        title += f": {case.task}, {case.worlds} worlds, {case.updates} update{'s' * (case.updates > 1)} per step"
        with ExitStack() as closing:
            turns = compete(_contestants(case, closing))
        for name, taken in turns.items():
            fastest = min(taken, key=lambda turn: turn.seconds)
            yield Row(f"{title}, {name}", fastest.env_steps / fastest.seconds, "env steps/s")
            yield Row(f"{title}, {name}: learning", fastest.updates / fastest.seconds, "updates/s")
        rates = {name: [getattr(turn, case.counts) / turn.seconds for turn in taken] for name, taken in turns.items()}
        ours, *others = rates
        for name in others:
            ratios = [a / b for a, b in zip(rates[ours], rates[name], strict=True)]
            yield Row(f"{title}, ours / {name}", statistics.median(ratios), "median")


def _contestants(case: Case, closing: ExitStack) -> dict[str, Contestant]:
    """The contestants by name, ours first. The peers prepare themselves while ours does."""
    engine, values = resolve_engine("auto"), dataclasses.asdict(case)
    contestants: dict[str, Contestant] = {}
    for other in dict.fromkeys(("mjx", engine)):
        steps = case.steps if other == engine else case.slow_steps
        contestants[f"Brax on {other}"] = Peer("brax", values | {"engine": other, "steps": steps}, closing)
    original = envs.make(case.task, physics=engine).make_gymnasium().spec
    values |= {"id": original.id, "kwargs": original.kwargs}
    for processes, where in ((False, "one process"), (True, "a process per world")):
        contestants[f"SBX in {where}"] = Peer("sbx", values | {"processes": processes}, closing)
    return {f"ours on {engine}": Ours(case), **contestants}


def compete(contestants: dict[str, Contestant]) -> dict[str, list[Turn]]:
    """The turns of each contestant, one in every round. A turn before, which compiles, does not count."""
    for contestant in contestants.values():
        contestant.begin()
    for contestant in contestants.values():
        contestant.end()
    turns: dict[str, list[Turn]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, contestant in contestants.items():
            contestant.begin()
            turns[name].append(contestant.end())
    return turns

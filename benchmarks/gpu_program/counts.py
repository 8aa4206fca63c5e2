"""What is counted of a compiled program, and the least time that it takes a card."""

import dataclasses
import math
import pathlib
import re
from typing import Any

from benchmarks.gpu_program.cards import NODE_US, SYNCHRONISATION_US, Card
from benchmarks.gpu_program.compile import PROGRAM_FILE
from benchmarks.gpu_program.thunks import (
    BRANCHES,
    CALLS,
    COPIES,
    GRAPH,
    HOST_COPIES,
    KERNELS,
    LOOP,
    SEQUENCE,
    Thunk,
    read_thunks,
)

_SIZES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "f16": 2, "bf16": 2, "s32": 4, "u32": 4, "f32": 4}
_COPY = re.compile(r"= (\w+)\[([\d,]*)\]\S* copy\(")


@dataclasses.dataclass
class Counts:
    """What one pass makes a card do.

    A loop counts as often as it runs where the compiler knows that, else once. Of a conditional the larger branch counts.

    Attributes:
      kernels: that the compiler made.
      copies: within the card's memory.
      calls: of libraries.
      graphs: launches of a CUDA graph. What is in a graph counts as kernels, copies and calls too.
      alone: kernels, copies and calls that are launched outside of any graph.
      host_loops: loops outside of graphs of which the host reads the condition before each turn.
      host_branches: conditionals outside of graphs, for each of which the host reads a condition.
      host_copies: copies between the host and the card.
      unknown: kinds of thunks that are none of these, such as callbacks.
    """

    kernels: int = 0
    copies: int = 0
    calls: int = 0
    graphs: int = 0
    alone: int = 0
    host_loops: int = 0
    host_branches: int = 0
    host_copies: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def nodes(self) -> int:
        """All that the card does one after the other."""
        return self.kernels + self.copies + self.calls

    @property
    def synchronisations(self) -> int:
        """How often the card waits for the host, at least."""
        return self.host_loops + self.host_branches + self.host_copies

    def times(self, turns: int) -> "Counts":
        """So many of these."""
        numbers = dataclasses.asdict(self)
        del numbers["unknown"]
        return Counts(**{name: turns * number for name, number in numbers.items()}, unknown=self.unknown)

    def __add__(self, other: "Counts") -> "Counts":
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in dataclasses.fields(self)}
        return Counts(**sums | {"unknown": tuple(sorted({*self.unknown, *other.unknown}))})


def count(thunks: list[Thunk], in_graph: bool = False) -> Counts:
    """Counts one pass through ``thunks``.

    Args:
      thunks: in the order in which they run.
      in_graph: whether they are nodes of a CUDA graph.
    """
    total = Counts()
    for thunk in thunks:
        parts = {label: count(part, in_graph or thunk.kind == GRAPH) for label, part in thunk.parts.items()}
        if thunk.kind == BRANCHES:
            total += max(parts.values(), key=lambda branch: branch.nodes, default=Counts())
            total += Counts(host_branches=int(not in_graph))
        elif thunk.kind == LOOP and thunk.turns is not None:
            total += parts.get("body", Counts()).times(thunk.turns)  # its condition is not looked at
        elif thunk.kind in (LOOP, GRAPH, SEQUENCE):
            total += sum(parts.values(), Counts())
            total += Counts(host_loops=int(thunk.kind == LOOP and not in_graph), graphs=int(thunk.kind == GRAPH))
        elif thunk.kind in KERNELS | COPIES | CALLS:
            kind = "kernels" if thunk.kind in KERNELS else "copies" if thunk.kind in COPIES else "calls"
            total += Counts(**{kind: 1}, alone=int(not in_graph))
        elif thunk.kind in HOST_COPIES:
            total += Counts(host_copies=1)
        else:
            total += Counts(unknown=(thunk.kind,))
    return total


def count_turn(thunks: list[Thunk]) -> Counts:
    """Counts one turn of a program's own loop: what is repeated; all of it where there is no loop.

    The loop itself costs what its kind costs: outside of a graph, the host reads its condition once for each turn, unless it
    is known how often the loop runs.
    """
    loops = [thunk for thunk in thunks if thunk.kind == LOOP]
    if not loops:
        return count(thunks)
    largest = max(loops, key=lambda loop: count([loop]).nodes)
    return count(largest.parts.get("body", [])) if largest.turns is not None else count([largest])


def tree(thunks: list[Thunk], depth: int = 0, in_graph: bool = False) -> list[str]:
    """One line for each graph, loop and branch: what it holds itself."""
    lines = []
    for thunk in thunks:
        for label, part in thunk.parts.items():
            own = count([inner for inner in part if not inner.parts])
            name = {GRAPH: "graph", LOOP: "loop", BRANCHES: "conditional"}.get(thunk.kind, thunk.kind)
            where = "" if thunk.kind in (GRAPH, SEQUENCE) else " in a graph" if in_graph else ", read by the host"
            if thunk.turns is not None:
                where = f" of {thunk.turns} turns"
            lines.append(
                f"{'  ' * depth}{name}{where}{f', {label}' if label else ''}: "
                f"{own.kernels} kernels, {own.copies} copies, {own.calls} calls"
            )
            lines += tree(part, depth + 1, in_graph or thunk.kind == GRAPH)
    return lines


def large_copies(program: str, least: int) -> int:
    """How many copies in the text of a compiled program are of at least so many bytes."""
    sizes = (
        math.prod(map(int, filter(None, shape.split(",")))) * _SIZES.get(kind, 8) for kind, shape in _COPY.findall(program)
    )
    return sum(size >= least for size in sizes) if least else 0


def floor_ms(counts: Counts, flops: float | None, moved: float | None, card: Card) -> dict[str, float]:
    """The least time of a turn on a card, in milliseconds, by what limits it.

    Args:
      counts: of the turn.
      flops: floating-point operations; None if they are not known.
      moved: bytes to and from the card's memory; likewise.
      card: the card.
    """
    return {
        "launches": counts.nodes * NODE_US / 1e3 + counts.synchronisations * SYNCHRONISATION_US / 1e3,
        "arithmetic": (flops or 0) / card.flops * 1e3,
        "memory": (moved or 0) / card.bandwidth * 1e3,
    }


def row(folder: pathlib.Path, compiled: dict[str, Any], card: Card) -> dict[str, Any]:
    """All figures of one compiled program.

    Args:
      folder: of what the compiler wrote about the program.
      compiled: what `benchmarks.gpu_program.compile` printed.
      card: that it was compiled for.
    """
    program = (folder / PROGRAM_FILE).read_text()
    thunks = read_thunks(folder, program)
    counts = count_turn(thunks)
    return {
        **{name: compiled[name] for name in ("state_bytes", "scratch_bytes", "updates", "flops", "bytes")},
        **{f"{name}_s": seconds for name, seconds in compiled["seconds"].items()},
        "not_in_place_bytes": compiled["state_bytes"] - compiled["in_place_bytes"],
        "replay_copies": large_copies(program, compiled["replay_bytes"]),
        **dataclasses.asdict(counts),
        "nodes": counts.nodes,
        "nodes_in_all": count(thunks).nodes,
        "synchronisations": counts.synchronisations,
        "floor_ms": floor_ms(counts, compiled["flops"], compiled["bytes"], card),
        "tree": tree(thunks),
    }

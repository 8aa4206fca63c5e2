"""Reads XLA's account of what a GPU would be told to do: its *thunks*, one for each kernel, copy, call, loop or graph.

The account is a file of text that XLA dumps. A line of it is a thunk, and what is indented below it belongs to it: the body
and the condition of a loop, the branches of a conditional, the nodes of a graph.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator

_THUNK = re.compile(r"\b(\d+): (k[A-Z]\w+)")

GRAPH, LOOP, BRANCHES, SEQUENCE = "kCommandBuffer", "kWhile", "kConditional", "kSequential"
COPIES = frozenset({"kCopy", "kDeviceToDeviceCopy", "kMemzero", "kMemset32BitValue"})
KERNELS = frozenset({"kCustomKernel", "kKernel", "kDynamicSliceFusion"})
CALLS = frozenset({"kCustomCall", "kTriangularSolve", "kCholesky", "kCublasLtMatmul", "kGemm", "kFft", "kSort", "kSelectK"})
"""Calls of libraries. Of these, a graph cannot hold some."""
HOST_COPIES = frozenset({"kHostToDeviceCopy", "kDeviceToHostCopy"})


@dataclasses.dataclass
class Thunk:
    """One thunk, and what belongs to it.

    Attributes:
      kind: as XLA calls it.
      turns: how often a loop runs, where the compiler knows it; the host then reads no condition.
      parts: thunks by label (``body``, ``condition``, ``branch 0``; "" for the nodes of a graph).
    """

    kind: str
    turns: int | None = None
    parts: dict[str, list["Thunk"]] = dataclasses.field(default_factory=dict)

    def everything(self) -> Iterator["Thunk"]:
        """This thunk and all that belong to it."""
        yield self
        for part in self.parts.values():
            for thunk in part:
                yield from thunk.everything()


def read_thunks(folder: pathlib.Path, program: str) -> list[Thunk]:
    """The thunks of the only program in a folder of dumps.

    Args:
      folder: of the dumps.
      program: its text, from which it is known how often its loops run.

    Raises:
      FileNotFoundError: there is none.
    """
    # Where XLA's last passes have changed nothing, only the first of these files is there.
    for name in ("thunk_sequence_after_thunk_passes", "thunk_sequence"):
        if found := sorted(folder.glob(f"*.{name}.txt")):
            described = "".join(path.read_text() for path in folder.glob("*.thunk_metadata.txt"))
            thunks = parse(found[-1].read_text(), empty_copies(described, program))
            loops = [thunk for top in thunks for thunk in top.everything() if thunk.kind == LOOP]
            for loop, turns in zip(loops, known_turns(program), strict=True):
                loop.turns = turns
            return thunks
    raise FileNotFoundError(f"no account of thunks in {folder}")


def known_turns(program: str) -> list[int | None]:
    """How often each loop of a compiled program runs, None where it is not known; in the order in which they are entered."""
    computations: dict[str, list[str]] = {}
    for line in program.splitlines():
        if opened := re.match(r"(ENTRY )?%?(\S+) .*\{$", line):
            instructions = computations["ENTRY" if opened[1] else opened[2]] = []
        elif line.startswith("  "):
            instructions.append(line)

    def visit(name: str) -> Iterator[int | None]:
        for line in computations[name]:
            if not re.search(r" (while|conditional|call)\(", line):
                continue
            if " while(" in line:
                turns = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', line)
                yield int(turns[1]) if turns else None
            for label in ("condition", "body", "to_apply", "branch_computations", "true_computation", "false_computation"):
                if named := re.search(rf"\b{label}=(\{{[^}}]*\}}|%?[^\s,]+)", line):
                    for inner in named[1].strip("{}").split(","):
                        yield from visit(inner.strip().lstrip("%"))

    return list(visit("ENTRY"))


def empty_copies(described: str, program: str) -> frozenset[int]:
    """Numbers of the thunks that copy an array without elements. XLA leaves them out when it makes a graph.

    Args:
      described: XLA's file that names the instruction of each thunk.
      program: the text of the compiled program.
    """
    empty = set(re.findall(r"%(\S+) = \w+\[(?:\d+,)*0(?:,\d+)*\]\S* copy\(", program))
    names = re.findall(r'profile_annotation: "([^"]*)"\s+thunk_id: (\d+)', described)
    return frozenset(int(number) for name, number in names if name in empty)


def parse(text: str, without: frozenset[int] = frozenset()) -> list[Thunk]:
    """The thunks that an account lists, but for those of some numbers."""
    root = latest = Thunk("root")
    enclosing: list[tuple[float, Thunk, str]] = [(-1, root, "")]  # indentation, thunk and part of it that enclose a line
    for line in filter(str.strip, text.splitlines()):
        indent = len(line) - len(line.lstrip())
        if line.strip() == "condition:":  # stands just below its loop, but not indented
            enclosing.append((enclosing[-1][0] + 0.5, latest, "condition"))
            continue
        while enclosing[-1][0] >= indent:
            enclosing.pop()
        _, parent, part = enclosing[-1]
        if not (found := _THUNK.findall(line)):
            enclosing.append((indent, parent, line.strip().rstrip(":")))
            continue
        if int(found[-1][0]) in without:
            continue
        latest = Thunk(found[0][1])
        parent.parts.setdefault(part, []).append(latest)
        # The first step of a sequence stands on the line of the sequence.
        if found[1:]:
            latest.parts[""] = [Thunk(found[1][1])]
        enclosing.append((indent, latest, ""))
    return root.parts.get("", [])

"""Predicted times of an environment step of humanoids on a GPU machine: ``python -m benchmarks.gpu_program.engines``.

No card has confirmed any of them. They are made of what was counted and measured without one, what others published, and the
assumptions that stand beside the constants. docs/physics.md has the table.
"""

import pathlib

from benchmarks.gpu_program.cards import NODE_US, SYNCHRONISATION_US
from benchmarks.report import read_sections

WORLDS = (20, 256, 1024, 4096, 16384)
CORES = 16
"""Cores of the host that run C MuJoCo."""
SPEEDS = pathlib.Path(__file__).parents[1] / "results" / "engines.json"
"""Measured speeds of the engines on a CPU."""

PHYSICS_STEPS = 5
"""Physics steps in an environment step of a humanoid."""
SOLVES = 4
"""Times that a physics step solves for the constraints, by RK4. The published speeds are taken to be of a model that solves
once, so they are divided by this."""
ITERATIONS = 6
"""Iterations of each solve until the last world of a batch has converged. Assumed."""

PUBLISHED = {"mjx": 0.95e6, "warp": 2.96e6}
"""Physics steps per second of a humanoid on an A100 with 8192 worlds, as published."""
NODES = {"mjx": (7242, 133), "warp": (313 + PHYSICS_STEPS * (478 - 1), 10)}
"""Nodes of an environment step in which every solve iterates once, and nodes of each further iteration of one solve. mjx was
compiled for an H100 by ``benchmarks.gpu_program physics --task humanoid``. For warp, 313 nodes are counted so, and 5 of them
are calls of Warp. In each of these Warp launches 478 kernels, and 10 more for each further iteration of a solve. Those were
counted on a CPU."""
SYNCHRONISATIONS = {"mjx": (21, 1), "warp": (1, 0)}
"""The same for waits of the card for the host."""

WORLD_BYTES = 352 + 1440
"""What goes to the host and comes back for each world in an environment step."""
BUS_BYTES_PER_S = 25e9
"""Speed of the bus between the host and the card. Assumed."""


def milliseconds(engine: str, worlds: int) -> float:
    """The predicted time of an environment step of so many humanoids together.

    On a card it is the time of the launches or the time of the work, whichever is longer. C MuJoCo takes the time of a call,
    that of the worlds on each core, and that of the way over the bus.
    """
    if engine == "native":
        section = read_sections(SPEEDS)["humanoid, native"]
        rates, cores = section["rows"][0]["env_steps_per_s"], section["environment"]["cores"]
        world = cores / max(rates.values())
        call = 1 / rates["1"] - world
        over_bus = worlds * WORLD_BYTES / BUS_BYTES_PER_S + 2 * SYNCHRONISATION_US / 1e6
        return 1e3 * (call + -(-worlds // CORES) * world + over_bus)
    further = PHYSICS_STEPS * SOLVES * (ITERATIONS - 1)
    nodes, synchronisations = (first + further * each for first, each in (NODES[engine], SYNCHRONISATIONS[engine]))
    launches = nodes * NODE_US + synchronisations * SYNCHRONISATION_US
    work = worlds * PHYSICS_STEPS * SOLVES / PUBLISHED[engine]
    return max(launches / 1e3, 1e3 * work)


def table() -> list[str]:
    """The lines of the table in docs/physics.md, in milliseconds."""
    engines = ("native", "warp", "mjx")
    lines = [f"| worlds | native, {CORES} cores | warp | mjx |", f"|{'---|' * 4}"]
    return lines + [f"| {n} | {' | '.join(f'{milliseconds(engine, n):.1f}' for engine in engines)} |" for n in WORLDS]


if __name__ == "__main__":
    print(*table(), sep="\n")

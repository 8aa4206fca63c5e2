"""Compiles one program for a card in a process of its own: ``python -m benchmarks.gpu_program.compile REQUEST``.

The process must know before JAX starts what it is for. `environment` says with which variables to start it.
"""

import dataclasses
import json
import os
import pathlib
import sys
import time
from typing import Any

import jax
from jax.experimental import topologies
from jax.extend.core import jaxprs_in_params
from jax.sharding import SingleDeviceSharding

from benchmarks.choices import chosen
from benchmarks.gpu_program.cards import CARDS
from benchmarks.gpu_program.programs import Compilable, compilable
from envs.command import UserError
from train.program import Program

COMPILER = pathlib.Path(__file__).parents[2] / ".gpu-check"
"""Where ``make gpu-check`` puts JAX's plugin for CUDA and NVIDIA's assembler. It is a folder of its own: JAX complains at
every start of a plugin that finds no driver."""

STAMP = COMPILER / ".stamp"
"""Written once all of it is there. A download that broke off leaves the folder without it."""

PROGRAM_FILE = "compiled.txt"
"""Name of the file with the text of the compiled program."""

MODULE = "gpu_program"
"""Name of the function that is compiled, by which XLA's files about it are found."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What to compile.

    Attributes:
      program: a name of `benchmarks.gpu_program.programs`.
      card: a name of `benchmarks.gpu_program.cards`.
      preset: of the run; likewise the next two.
      task: name of the task.
      agent: name of the agent, with choices of its own if need be.
      values: fields of the config that differ from the preset's.
      flags: more flags for XLA.
      folder: where XLA writes what it made.
    """

    program: str
    card: str
    preset: str
    task: str
    agent: str
    values: dict[str, Any]
    flags: str
    folder: str


def environment(folder: str, flags: str = "") -> dict[str, str]:
    """The environment in which a process compiles for a card.

    ``JAX_PLATFORMS=cpu`` keeps JAX's CUDA plugin from asking for a driver. It is registered all the same, and compiles for
    the card that is described to it, machine code included.

    Args:
      folder: where XLA writes what it made.
      flags: more flags for XLA.
    """
    dumping = (f"--xla_dump_to={folder}", "--xla_dump_hlo_as_text", f"--xla_dump_hlo_module_re=jit_{MODULE}", flags)
    path = os.pathsep.join(filter(None, (str(COMPILER), os.environ.get("PYTHONPATH"))))
    own = {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2", "XLA_FLAGS": " ".join(dumping), "PYTHONPATH": path}
    return os.environ | own


def compile_program(request: Request) -> dict[str, Any]:
    """Compiles, and returns what the compiler says: sizes in bytes, and times in seconds.

    Raises:
      UserError: the program or the run is impossible; one sentence.
    """
    # The project chooses its paths by the name of the back end.
    jax.default_backend = lambda: "gpu"
    values = dict(request.values)
    devices = values.get("devices", 1)
    config = dataclasses.replace(chosen(request.preset, request.task, request.agent), **values)
    if config.replay_size:  # whole rows, whatever the worlds
        rows = max(2, config.replay_size // config.num_envs)
        config = dataclasses.replace(config, replay_size=rows * config.num_envs)
    there = cards(request.card, devices)
    if devices > 1:
        jax.devices = lambda *_: there
    if request.program in ("update", "updates"):
        config = dataclasses.replace(config, physics="native")  # takes no part in them, and is built at once
    started = time.perf_counter()
    program = Program(config.validate())
    part = compilable(request.program, program)  # type: ignore[arg-type]
    built = time.perf_counter()
    replay = max((x.size * x.dtype.itemsize for x in jax.tree.leaves(program.state_shapes().replay)), default=0)
    options = {"xla_gpu_deterministic_ops": True} if config.deterministic else None
    said = compile_part(part, there, request.folder, options)
    updates, every = config.update_schedule
    return {
        **said,
        "seconds": {"build": built - started, **said["seconds"]},
        "replay_bytes": replay,
        "updates": updates if every == 1 else updates / every,
    }


def cards(name: str, number: int = 1) -> list[Any]:
    """So many devices that are not there, of a kind in `benchmarks.gpu_program.cards`. JAX can compile for them."""
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=CARDS[name].target_config(), topology=f"1x1x{number}"
    )
    return list(topology.devices)


def compile_part(part: Compilable, there: list[Any], folder: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Compiles one function, and returns what the compiler says: sizes in bytes, and times in seconds.

    Args:
      part: the function, and shapes of its arguments. On several devices each shape may say how it is spread over them.
      there: the devices to compile for.
      folder: where the program's text is written. XLA writes there as well, if `environment` says so.
      options: for the compiler.

    Raises:
      UserError: the function calls back to the host, for which a card has to be there.
    """
    one = SingleDeviceSharding(there[0])

    def on_card(x: Any) -> jax.ShapeDtypeStruct:
        sharding = x.sharding if len(there) > 1 and getattr(x, "sharding", None) is not None else one
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    def gpu_program(*args: Any) -> Any:
        return part.function(*args)

    started = time.perf_counter()
    traced = jax.jit(gpu_program, donate_argnums=part.renewed if part.donated else (), compiler_options=options).trace(
        *jax.tree.map(on_card, part.arguments)
    )
    if callbacks := sorted(name for name in _primitives(traced.jaxpr.jaxpr) if name.endswith("callback")):
        raise UserError(f"The program calls back to the host ({', '.join(callbacks)}): that needs a card that is there.")
    traced_at = time.perf_counter()
    lowered = traced.lower()
    lowered_at = time.perf_counter()
    compiled = lowered.compile()
    compiled_at = time.perf_counter()
    memory = compiled.memory_analysis()
    text = compiled.as_text()
    (pathlib.Path(folder) / PROGRAM_FILE).write_text(text)
    state = sum(x.size * x.dtype.itemsize for number in part.renewed for x in jax.tree.leaves(part.arguments[number]))
    cost = _cost(text)
    return {
        "seconds": {"trace": traced_at - started, "lower": lowered_at - traced_at, "compile": compiled_at - lowered_at},
        "state_bytes": state,
        "in_place_bytes": memory.alias_size_in_bytes,
        "scratch_bytes": memory.temp_size_in_bytes,
        "flops": cost.get("flops"),
        "bytes": cost.get("bytes accessed"),
    }


def _primitives(jaxpr: Any) -> set[str]:
    """The names of all operations of a jaxpr and of the jaxprs in it."""
    inner = (_primitives(part) for equation in jaxpr.eqns for part in jaxprs_in_params(equation.params))
    return {equation.primitive.name for equation in jaxpr.eqns}.union(*inner)


def _cost(program: str) -> dict[str, float]:
    """XLA's own estimate for the text of a program, in which each loop counts once. What is compiled for a card that is not
    there cannot be asked itself."""
    import jax
    from jax._src.lib import _jax
    from jaxlib import _hlo

    cost: dict[str, float] = _jax.hlo_module_cost_analysis(jax.devices("cpu")[0].client, _hlo.hlo_module_from_text(program))
    return cost


if __name__ == "__main__":
    try:
        print(json.dumps(compile_program(Request(**json.loads(sys.argv[1])))))
    except UserError as error:
        print(json.dumps({"refused": str(error)}))

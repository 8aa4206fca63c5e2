"""``python -m eval.export RUN_DIR``: writes a run's policy to a file that a robot's program can use without JAX."""

import dataclasses
import importlib.util
import io
import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from envs import MujocoTask, RandomizedEnv
from envs.adapters.foreign import ForeignTask
from envs.command import UserError, run_command
from eval.graph import INPUT, Graph, Step, trace
from eval.onnx_file import to_onnx
from eval.policy_folder import write_policy_folder
from eval.policy_metadata import describe, score_of
from eval.restore import OwnCodeArgs, Restored, restore
from mjx_tecrl import __version__
from train.files import replace_file

LARGEST_ERROR = 1e-4
"""Largest error with which a file is written, as a share of the range of an output. Rounding makes some 1e-6."""

Evaluator = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Computes the outputs of a file, by their names, for observations ``[batch, obs_size]``."""

BATCHES = (1, 7, 64)
"""Numbers of observations in the batches on which a file is compared with the policy."""


@dataclasses.dataclass(frozen=True)
class Args(OwnCodeArgs):
    """Write the policy of a trained run to a file for a robot, and compare the file with the policy.

    It computes the deterministic action and the controls of the actuators from an observation that is not normalised.
    """

    run_dir: tyro.conf.Positional[pathlib.Path]
    """the run directory"""
    out: pathlib.Path | None = None
    """file to write: .onnx, or .npz for NumPy alone; or a new folder, for a run directory with nothing but the policy;
    default: policy.onnx in the run directory"""
    step: int | None = None
    """which checkpoint (environment steps); default: the newest"""


def export(args: Args) -> None:
    """Restores the policy, writes the file, and prints how far it is from the policy.

    Raises:
      UserError: there is no such run or checkpoint, the policy cannot be exported, or the file cannot be written.
    """
    out = args.out or args.run_dir / "policy.onnx"
    check_out(out)
    # The physics engine makes no difference to a policy. This one is on every machine.
    restored = restore(args.run_dir, args.step, "native", **args.own)
    if not out.suffix:
        write_policy_folder(out, restored, score_of(args.run_dir, restored.step))
        print(f"wrote {out}: the policy after {restored.step} steps, as a run directory that cannot be resumed")
        return
    graph = policy_graph(restored)
    contents = file_contents(out, graph, describe(restored, args.run_dir))
    errors = compare(restored, evaluators(out, graph, contents))
    try:
        replace_file(out, contents)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}.") from error
    found = ", ".join(f"{error:.1g} in {name}" for name, error in errors.items())
    print(f"wrote {out}: {INPUT} [batch, {graph.obs_size}] -> {_outputs(graph)}")
    print(f"largest error against the policy, on {sum(BATCHES)} random observations: {found}")


def check_out(out: pathlib.Path) -> None:
    """Refuses a file or folder that cannot be written, before anything is computed.

    Raises:
      UserError: it is of another kind, or its folder is not there.
    """
    if out.suffix not in (".onnx", ".npz", ""):
        raise UserError(f"{out} must end in .onnx or .npz, or be a folder.")
    if not out.suffix and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already: name a new folder.")
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out} cannot be written: {out.absolute().parent} is not a folder.")


def policy_outputs(restored: Restored, obs: jax.Array) -> dict[str, jax.Array]:
    """What a file computes, by the policy's own functions.

    Args:
      restored: the policy.
      obs: ``[batch, obs_size]``, not normalised.

    Returns:
      ``action`` ``[batch, action_size]`` in [-1, 1]; and ``ctrl`` ``[batch, nu]`` in the actuators' own units, unless the
      task brings its own engine, which alone knows what its actions mean.
    """
    env, action = restored.problem.env, restored.policy(obs)
    if isinstance(env, ForeignTask):
        return {"action": action}
    return {"action": action, "ctrl": jax.vmap(env.to_ctrl)(action)}


def policy_graph(restored: Restored) -> Graph:
    """The policy as a graph.

    Raises:
      UserError: it cannot be exported; one sentence.
    """
    env = restored.problem.env
    if isinstance(env, MujocoTask | RandomizedEnv) and env.mocap_actions:
        raise UserError(
            f"{env.name} cannot be exported: a part of its actions moves mocap bodies, which no actuator can do."
        )
    try:
        return trace(lambda obs: policy_outputs(restored, obs), restored.problem.spec.obs_size)
    except NotImplementedError as error:
        raise UserError(f"The policy cannot be exported: {error}.") from error


def file_contents(out: pathlib.Path, graph: Graph, metadata: dict[str, Any]) -> bytes:
    """The contents of a file of the kind that the name says.

    Both kinds hold the whole metadata as JSON, under "metadata". An .onnx file says the texts and numbers among them once
    more, each under its own name. An .npz holds the constants by name, and the steps as JSON under "steps".
    """
    metadata = metadata | {"outputs": graph.outputs}
    said = json.dumps(metadata)
    if out.suffix == ".onnx":
        plain = {name: str(value) for name, value in metadata.items() if isinstance(value, str | int | float)}
        return to_onnx(graph, {"metadata": said, **plain}, __version__)
    steps = json.dumps([dataclasses.astuple(step) for step in graph.steps])
    buffer = io.BytesIO()
    np.savez(buffer, metadata=np.array(said), steps=np.array(steps), **graph.constants)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_npz(contents: bytes) -> tuple[Graph, dict[str, Any]]:
    """The graph and the metadata of an .npz file."""
    with np.load(io.BytesIO(contents)) as file:
        arrays = dict(file)
    metadata, steps = (json.loads(str(arrays.pop(name))) for name in ("metadata", "steps"))
    graph = Graph(metadata["obs_size"], arrays, tuple(Step(*step) for step in steps), metadata["outputs"])
    return graph, metadata


def evaluators(out: pathlib.Path, graph: Graph, contents: bytes) -> dict[str, Evaluator]:
    """What computes the outputs for a comparison: NumPy, and for an .onnx file also ONNX Runtime, where that is installed.

    Args:
      out: the file's name, which says its kind.
      graph: the graph from which it was made.
      contents: its contents.
    """
    if out.suffix == ".npz":
        return {"NumPy": read_npz(contents)[0]}
    if importlib.util.find_spec("onnxruntime") is None:
        return {"NumPy": graph}
    import onnxruntime

    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])

    def run(obs: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(graph.outputs, session.run(list(graph.outputs), {INPUT: obs}), strict=True))

    return {"NumPy": graph, "ONNX Runtime": run}


def compare(restored: Restored, computed_by: dict[str, Evaluator]) -> dict[str, float]:
    """Compares a file with the policy on random observations.

    The policy is computed on the CPU, because an accelerator may round the operands of products.

    Args:
      restored: the policy.
      computed_by: what computes the file's outputs, by name.

    Returns:
      The largest error of each output, by its name, in its own units.

    Raises:
      UserError: an error is larger than `LARGEST_ERROR` of the output's range, or not a number.
    """
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        on_cpu = dataclasses.replace(restored, actor=jax.device_get(restored.actor))
        batches = _observations(on_cpu)
        wanted = [jax.tree.map(np.asarray, policy_outputs(on_cpu, jnp.asarray(obs))) for obs in batches]
    errors: dict[str, float] = {}
    for evaluator, compute in computed_by.items():
        for obs, want in zip(batches, wanted, strict=True):
            got = compute(obs)
            for name, values in want.items():
                error = float(np.abs(got[name] - values).max())
                if got[name].shape != values.shape or not error <= LARGEST_ERROR * max(1.0, float(np.abs(values).max())):
                    raise UserError(f"No file was written: by {evaluator}, {name} differs from the policy's by {error:.1g}.")
                errors[name] = max(errors.get(name, 0.0), error)
    return errors


def _observations(restored: Restored) -> list[np.ndarray]:
    """Batches of random observations, about as wide as those that the policy was trained on."""
    random, seen = np.random.default_rng(0), restored.actor.normalizer
    width = restored.problem.spec.obs_size
    mean = np.asarray(seen.mean)[:width]
    std = np.sqrt(np.asarray(seen.squares)[:width] / max(float(seen.count), 1.0)) if seen.count > 0 else np.ones(width)
    return [(mean + std * random.normal(size=(size, width))).astype(np.float32) for size in BATCHES]


def _outputs(graph: Graph) -> str:
    return ", ".join(f"{name} [batch, {width}]" for name, width in graph.outputs.items())


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, export, "python -m eval.export", args)


if __name__ == "__main__":
    sys.exit(main())

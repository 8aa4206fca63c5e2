"""The suite ``physics``: the engines alone."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

import envs
from benchmarks.engines import seconds_per_step
from benchmarks.measuring import Row, floor, matmul_rate, memory_rate


def measure(full: bool) -> Iterator[Row]:
    """Steps of the worlds alone, with random actions and automatic resets. MJX's floor counts one pass of each loop only.

    The compiler does not know how many passes a loop makes. So the true floor is higher.
    """
    worlds = (16, 256, 4096) if full else (16, 256)
    peak, bandwidth = matmul_rate(), memory_rate()
    for task in ("humanoid", "hopper", "half_cheetah", "ant") if full else ("humanoid", "hopper"):
        for engine in envs.task(task).engines if full else ("native", "mjx"):
            made = envs.make(task, physics=engine)
            for number in worlds:
                if jax.default_backend() == "cpu" and engine != "native" and number > 256:
                    continue  # this would take minutes, and the figure would hardly differ
                seconds = seconds_per_step(made, number, least=1.0)
                yield Row(f"{task}, {engine}, {number} worlds", number / seconds, "env steps/s")
                if engine == "mjx":
                    flops, moved = _cost_of_step(made, number)
                    yield floor(f"{task}, {engine}, {number} worlds", flops, moved, peak, bandwidth, seconds)


def _cost_of_step(task: envs.MujocoTask, worlds: int) -> tuple[float, float]:
    """Floating-point operations of a step of all worlds, and the bytes of their states that it reads and writes."""
    qpos, qvel, ctrl = (
        jax.ShapeDtypeStruct((worlds, size), jnp.float32) for size in (task.model.nq, task.model.nv, task.model.nu)
    )
    state, _ = jax.eval_shape(jax.vmap(task.engine.init), qpos, qvel)
    substep = jax.jit(jax.vmap(lambda state, ctrl: task.engine.step(state, ctrl, 1)))
    costs: Any = substep.lower(state, ctrl).cost_analysis()
    return task.substeps * costs["flops"], 2 * sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))

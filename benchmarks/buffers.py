"""How many contacts and constraint rows a world has at most, task by task: the numbers behind `MujocoTask.warp_buffers`.

``python -m benchmarks.buffers --json out.json`` counts them in C MuJoCo, in states of a random policy, of full-amplitude
sinusoids, and of what follows a fall.
"""

import dataclasses
import pathlib
from typing import Annotated

import mujoco
import numpy as np
import tyro

import envs
from benchmarks.report import open_report, save_report
from benchmarks.states import state_sets


@dataclasses.dataclass(frozen=True)
class Args:
    """Count contacts and constraint rows."""

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """task to count for; may be repeated; default: all"""
    states: int = 200
    """states in each of the three sets"""
    json: pathlib.Path | None = None
    """file to write; tasks already in it that are not counted now are kept"""


def main(args: Args) -> None:
    """Counts, prints, writes."""
    report = open_report(args.json)
    print("| task | contacts, mean | contacts, most | constraint rows, most | room |\n|---|---|---|---|---|")
    for name in args.task or tuple(envs.TASKS):
        task = envs.make(name, physics="native")
        report["tasks"][name] = found = count(task, args.states)
        room = " / ".join("default" if size is None else str(size) for size in task.warp_buffers)
        print(
            f"| {name} | {found['contacts_mean']:.1f} | {found['contacts']} | {found['constraints']} | {room} |", flush=True
        )
        save_report(report, args.json)


def count(task: envs.MujocoTask, states: int) -> dict[str, float]:
    """The most contacts and constraint rows of any world, and its mean number of contacts in the fullest set of states."""
    model = task.engine.model
    data = mujoco.MjData(model)
    contacts: list[list[int]] = []
    constraints = []
    for drawn, _ in state_sets(task, states, seed=0).values():
        contacts.append([])
        for qpos, qvel in zip(np.asarray(drawn.physics.qpos), np.asarray(drawn.physics.qvel), strict=True):
            data.qpos[:], data.qvel[:] = qpos, qvel
            mujoco.mj_forward(model, data)
            contacts[-1].append(data.ncon)
            constraints.append(data.nefc)
    return {
        "contacts_mean": max(float(np.mean(found)) for found in contacts),
        "contacts": max(map(max, contacts)),
        "constraints": max(constraints),
    }


if __name__ == "__main__":
    main(tyro.cli(Args, prog="python -m benchmarks.buffers"))

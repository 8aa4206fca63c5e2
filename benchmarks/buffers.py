"""``python -m benchmarks.buffers``: how many contacts and constraint rows a world has at most, task by task.

These are the numbers behind `MujocoTask.warp_buffers`. They are counted in C MuJoCo, in the states that a random policy
reaches, in those that full-amplitude sinusoids reach, and in those that follow a fall.
"""

import dataclasses
import pathlib
import sys
from typing import Annotated

import mujoco
import numpy as np
import tyro

import envs
from benchmarks.choices import named_tasks
from benchmarks.report import Report
from benchmarks.states import state_sets
from envs.command import run_command

PROGRAM = "python -m benchmarks.buffers"


@dataclasses.dataclass(frozen=True)
class Args:
    """Count contacts and constraint rows."""

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """task to count for; may be repeated; default: all tasks"""
    states: int = 200
    """states in each of the three sets"""
    json: pathlib.Path | None = None
    """file to write the figures to; tasks in it that are not counted now are kept"""


def main(args: Args) -> None:
    """Counts, prints, writes."""
    names = named_tasks(args.task, envs.TASKS)
    report = Report(PROGRAM, args)
    print("| task | contacts, mean | contacts, most | constraint rows, most | room |\n|---|---|---|---|---|")
    for name in names:
        task = envs.make(name, physics="native", randomization=envs.NOT_RANDOMIZED)
        found = count(task, args.states)
        report.add(name, {"task": name, **found})
        room = " / ".join("default" if size is None else str(size) for size in task.warp_buffers)
        print(
            f"| {name} | {found['contacts_mean']:.1f} | {found['contacts']} | {found['constraints']} | {room} |", flush=True
        )


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
    sys.exit(run_command(Args, main, PROGRAM))

"""The command that counts contacts and constraint rows."""

import pathlib

import mujoco
import numpy as np

import envs
from benchmarks.buffers import Args, main
from benchmarks.report import read_sections
from benchmarks.states import state_sets


def test_it_counts_what_mujoco_finds(tmp_path: pathlib.Path) -> None:
    results = tmp_path / "buffers.json"
    main(Args(task=("half_cheetah",), states=6, json=results))
    [found] = read_sections(results)["half_cheetah"]["rows"]
    task = envs.make("half_cheetah", physics="native")
    data, most = mujoco.MjData(task.model), [0, 0]
    for states, _ in state_sets(task, 6, seed=0).values():
        for qpos in np.asarray(states.physics.qpos):
            data.qpos[:] = qpos
            mujoco.mj_forward(task.model, data)
            most = [max(most[0], data.ncon), max(most[1], data.nefc)]
    assert [found["contacts"], found["constraints"]] == most
    assert 0 < found["contacts_mean"] <= found["contacts"]


def test_every_task_makes_room_for_what_was_counted() -> None:
    results = pathlib.Path(__file__).parents[2] / "benchmarks" / "results" / "buffers.json"
    counted = read_sections(results)
    assert set(counted) == set(envs.TASKS)
    for name, section in counted.items():
        [found] = section["rows"]
        contacts, constraints = envs.task(name).warp_buffers
        assert contacts is not None
        assert contacts >= 4 * found["contacts"]
        assert constraints is not None
        assert constraints >= 2 * found["constraints"]

"""Plays an exported policy of the swimmer in C MuJoCo, with NumPy alone: ``python on_the_robot.py policy.npz model.mjb``."""

import json
import math
import sys

import mujoco
import numpy as np

values = dict(np.load(sys.argv[1]))
about, steps = json.loads(str(values.pop("metadata"))), json.loads(str(values.pop("steps")))
model = mujoco.MjModel.from_binary_path(sys.argv[2])
data = mujoco.MjData(model)

NAMES = ["sum", "max", "min", "take", "append", "reshape", "transpose", "where"]
assert all(name in (*NAMES, "erf") or isinstance(getattr(np, name), np.ufunc) for _, name, _ in steps)
erf = np.vectorize(math.erf, otypes=[np.float32])


def policy(obs):
    """The controls for an observation."""
    values["obs"] = np.float32(obs)[None]
    for output, name, inputs in steps:
        call = erf if name == "erf" else getattr(np, name)
        values[output] = call(*[values[x] if isinstance(x, str) else x for x in inputs])
    return values["ctrl"][0]


total = 0.0
for _ in range(1000):
    before = data.qpos[0]
    data.ctrl[:] = policy(np.concatenate([data.qpos[2:], data.qvel]))  # as about["observation"] says
    mujoco.mj_step(model, data, round(about["control_dt"] / model.opt.timestep))
    total += (data.qpos[0] - before) / about["control_dt"] - 1e-4 * np.sum(data.ctrl**2)
print(total)

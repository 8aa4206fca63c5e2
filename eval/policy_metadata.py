"""What an exported policy says about itself: all that a program on the robot has to know to use it rightly."""

import dataclasses
import pathlib
import subprocess
from typing import Any

import jax.numpy as jnp
import mujoco
import numpy as np

from envs import NOT_RANDOMIZED, MujocoTask, RandomizedEnv
from envs.own_code import label
from envs.randomized_env import has_kd, has_kp
from envs.tasks.control_limits import control_limits
from eval.observation import observation_entries
from eval.restore import Restored
from mjx_tecrl import __version__
from train.logs import METRICS_FILE, evaluations

_ROOT = pathlib.Path(__file__).resolve().parents[1]

_JOINTS = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))


def describe(restored: Restored, run_dir: pathlib.Path) -> dict[str, Any]:
    """The metadata, as JSON has it.

    Args:
      restored: the policy.
      run_dir: its run directory, for the run's evaluations.
    """
    problem = restored.problem
    env = problem.env
    said: dict[str, Any] = {
        "task": label(problem.config.env),
        "agent": label(problem.config.agent),
        "run": run_dir.resolve().name,
        "steps": restored.step,
        "score": score_of(run_dir, restored.step),
        "version": __version__,
        "commit": commit(),
        "control_dt": env.dt * getattr(env.args, "action_repeat", 1),
        "obs_size": problem.spec.obs_size,
        "action_size": problem.spec.action_size,
    }
    if isinstance(env, MujocoTask | RandomizedEnv):
        said |= {
            "physics_dt": float(env.model.opt.timestep),
            "observation": [dataclasses.asdict(entry) for entry in observation_entries(env)],
            "default_qpos": _default_qpos(env).tolist(),
            "default_ctrl": np.asarray(env.to_ctrl(jnp.zeros(problem.spec.action_size))).tolist(),
            "actuators": describe_actuators(env.model),
            "joints": _joints(env.model),
            "sensors": [
                {"name": env.model.sensor(i).name, "start": int(adr), "size": int(dim)}
                for i, (adr, dim) in enumerate(zip(env.model.sensor_adr, env.model.sensor_dim, strict=True))
            ],
            "randomization": _randomization(env),
        }
    return said


def score_of(run_dir: pathlib.Path, step: int) -> dict[str, float] | None:
    """The mean return of the run's last evaluation up to a step, and its own step; None if there was none."""
    if not (run_dir / METRICS_FILE).exists():
        return None
    returns = {at: value for at, value in evaluations([run_dir]).items() if at <= step}
    return {"return_mean": float(returns[max(returns)]), "steps": max(returns)} if returns else None


def commit() -> str | None:
    """The project's commit, where the project is a checkout of Git's; None otherwise."""
    command = ["git", "-C", str(_ROOT), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        top, head = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:2]
    except (OSError, subprocess.CalledProcessError):
        return None
    return head if pathlib.Path(top).resolve() == _ROOT else None


def _default_qpos(env: Any) -> np.ndarray:
    """``[nq]`` the pose of the task's keyframe, or else the model's reference pose."""
    return np.asarray(env.model.qpos0 if env.keyframe is None else env.model.key(env.keyframe).qpos)


def describe_actuators(model: mujoco.MjModel) -> list[dict[str, Any]]:
    """The actuators in the order of ``ctrl``: name, place of their controls, limits, joint, and gains if they have such."""
    limits, unlimited = control_limits(model)
    kp, kd = has_kp(model), has_kd(model)
    found = []
    for number in range(model.nactuator):
        name = model.actuator(number).name or str(number)
        start, size = int(model.actuator_ctrladr[number]), int(model.actuator_ctrlnum[number])
        on_joint = int(model.actuator_trntype[number]) in _JOINTS
        found.append(
            {
                "name": name,
                "start": start,
                "size": size,
                "limits": None if name in unlimited else limits[start : start + size].tolist(),
                "joint": model.joint(int(model.actuator_trnid[number, 0])).name if on_joint else None,
                "gear": float(model.actuator_gear[number, 0]),
                "kp": float(model.actuator_gainprm[number, 0]) if kp[number] else None,
                "kd": float(-model.actuator_biasprm[number, 2]) if kd[number] else None,
            }
        )
    return found


def _joints(model: mujoco.MjModel) -> list[dict[str, Any]]:
    """The joints: name, kind, where they are in ``qpos`` and ``qvel``, and their range if they have one."""
    return [
        {
            "name": model.joint(number).name,
            "type": mujoco.mjtJoint(int(model.jnt_type[number])).name.removeprefix("mjJNT_").lower(),
            "qpos_start": int(model.jnt_qposadr[number]),
            "qvel_start": int(model.jnt_dofadr[number]),
            "range": model.jnt_range[number].tolist() if model.jnt_limited[number] else None,
        }
        for number in range(model.njnt)
    ]


def _randomization(env: MujocoTask | RandomizedEnv) -> dict[str, Any]:
    """What differed from world to world in training: the settings that are not the default."""
    drawn = env.randomization
    fields = (field.name for field in dataclasses.fields(drawn))
    return {name: getattr(drawn, name) for name in fields if getattr(drawn, name) != getattr(NOT_RANDOMIZED, name)}

"""What a film keeps of a state: the pose, and what of the model is this world's own."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.base import State


def pose(model: mujoco.MjModel, state: State) -> jax.Array:
    """What a picture of a state needs: the joint positions ``[nq]``.

    Where the task moves mocap bodies, their positions and quaternions follow: ``[nq + 7 nmocap]``.
    """
    fields, mocap = state.info.get("model", {}), np.flatnonzero(model.body_mocapid >= 0)
    if "body_pos" not in fields or not mocap.size:
        return state.physics.qpos
    quaternions = jnp.asarray(fields.get("body_quat", model.body_quat), jnp.float32)
    return jnp.concatenate([state.physics.qpos, fields["body_pos"][mocap].ravel(), quaternions[mocap].ravel()])


def own_fields(info: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Those fields of the model that a world has of its own, by name, as the `State.info` says."""
    return {name: np.asarray(value) for name, value in info.get("model", {}).items()}


def set_pose(data: mujoco.MjData, row: np.ndarray) -> None:
    """Writes joint positions, or what `pose` gave, into ``data``."""
    qpos, mocap = np.split(np.asarray(row), [data.qpos.size])
    data.qpos[:] = qpos
    if mocap.size:
        positions, quaternions = np.split(mocap, [data.mocap_pos.size])
        data.mocap_pos[:] = positions.reshape(data.mocap_pos.shape)
        data.mocap_quat[:] = quaternions.reshape(data.mocap_quat.shape)

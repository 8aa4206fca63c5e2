"""From where a film is seen if the model has no camera of its own."""

import mujoco
import numpy as np
import pytest

import envs
from envs.film import overview


def test_everything_that_moves_is_in_view_and_little_else() -> None:
    model = envs.make("inverted_double_pendulum", physics="native").model
    positions = np.array([[-0.9, 0.1, 0.0], [0.0, 0.0, 0.0], [0.9, -0.2, 0.3]])
    camera, default = overview(model, positions), mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, default)
    radius = camera.distance * np.sin(np.deg2rad(model.vis.global_.fovy / 2))
    data = mujoco.MjData(model)
    for qpos in positions:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        assert (np.linalg.norm(data.xpos[1:] - camera.lookat, axis=1) < radius).all()
    assert radius < 2.0
    assert camera.distance < default.distance / 2


def test_a_model_in_which_nothing_moves_is_seen_as_mujoco_does() -> None:
    model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
    camera, default = overview(model, np.zeros((1, 0))), mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, default)
    assert camera.distance == pytest.approx(default.distance)

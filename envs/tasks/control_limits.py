"""Which controls the actions -1 and 1 stand for, as the model says it."""

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

# NumPy's numbers are equal to these enumerations, but not found in a tuple of them.
_JOINTS = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
_SCALAR = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
_FILTERS = (int(mujoco.mjtDyn.mjDYN_NONE), int(mujoco.mjtDyn.mjDYN_FILTER), int(mujoco.mjtDyn.mjDYN_FILTEREXACT))
"""Dynamics whose activation becomes the control if that is held."""


class ControlScaling:
    """What the actions mean: -1 and 1 are the limits of the controls, and 0 is their middle.

    With a keyframe, 0 is its control, and the actions are scaled on either side of it. With ``action_scale``, an action
    differs from the action 0 by itself times that, and the result is clipped to the limits.

    Args:
      model: the model.
      key: its keyframe; None for none.
      action_scale: for all actuators or for each, in the actuators' own units; None for the limits.

    Raises:
      ValueError: ``action_scale`` has another length than the model has controls, or a number in it is not positive; or the
        limits of each control are equal.

    Attributes:
      unlimited: names of actuators that would need limits and have none.
    """

    def __init__(self, model: mujoco.MjModel, key: Any = None, action_scale: float | tuple[float, ...] | None = None):
        limits, unlimited = control_limits(model)
        if action_scale is not None:
            scale = np.asarray(action_scale, np.float32)
            if scale.shape not in ((), (model.nu,)) or not (scale > 0).all():
                raise ValueError(f"action_scale must be a positive number, or {model.nu} of them, not {action_scale!r}")
            for actuator in range(model.nactuator):
                if (model.actuator(actuator).name or str(actuator)) in unlimited:
                    first = model.actuator_ctrladr[actuator]
                    limits[first : first + model.actuator_ctrlnum[actuator]] = -np.inf, np.inf
            unlimited = []
        elif not unlimited and model.nu and (limits[:, 0] == limits[:, 1]).all():
            raise ValueError("the limits of every control leave it one value, so a policy could not move anything")
        self.unlimited = unlimited
        low, high = jnp.asarray(limits, jnp.float32).T
        self._limits = low, high
        middle = jnp.where(jnp.isfinite(low), (high + low) / 2, 0.0)
        self._centre = middle if key is None else jnp.clip(jnp.asarray(key.ctrl, jnp.float32), low, high)
        self._scale = (high - low) / 2 if action_scale is None else jnp.asarray(scale)
        self._clips, self._two_sided = action_scale is not None, action_scale is None and key is not None

    def __call__(self, action: jax.Array) -> jax.Array:
        """The control ``[..., nu]`` of an action ``[..., nu]``."""
        low, high = self._limits
        if self._two_sided:
            return self._centre + action * jnp.where(action < 0, self._centre - low, high - self._centre)
        ctrl = self._centre + self._scale * action
        return jnp.clip(ctrl, low, high) if self._clips else ctrl


def control_limits(model: mujoco.MjModel) -> tuple[np.ndarray, list[str]]:
    """Finds the limits of each control.

    They are the first of these that the model has:

    1. the control's ``ctrlrange``. A muscle without one has [0, 1], to which MuJoCo clips it.
    2. of a position actuator: the range of its joint or tendon, times the gear.
    3. of a motor: the forces in its ``forcerange``, or in the joint's ``actuatorfrcrange``, as controls.

    An actuator with none of them is unlimited. Its ``ctrlrange`` in the compiled model is [0, 0], which limits nothing.

    Returns:
      ``[nu, 2]`` the limits, and the names of the actuators that are unlimited (a number stands for a missing name).
    """
    limits = np.array(model.actuator_ctrlrange)
    unlimited = []
    for actuator in range(model.nactuator):
        first = model.actuator_ctrladr[actuator]
        controls = slice(first, first + model.actuator_ctrlnum[actuator])
        if model.actuator_ctrllimited[controls].all():
            continue
        found = _implied(model, actuator) if model.actuator_ctrlnum[actuator] == 1 else None
        if found is None:
            unlimited.append(model.actuator(actuator).name or str(actuator))
        else:
            limits[controls] = np.sort(found)
    return limits, unlimited


def _implied(model: mujoco.MjModel, actuator: int) -> np.ndarray | None:
    """``[2]`` the limits of a control that follow from other limits, in either order; None if there are none."""
    if model.actuator_dyntype[actuator] == mujoco.mjtDyn.mjDYN_MUSCLE:
        return np.array([0.0, 1.0])
    gain, bias = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator]
    if (
        model.actuator_gaintype[actuator] != mujoco.mjtGain.mjGAIN_FIXED
        or model.actuator_dyntype[actuator] not in _FILTERS
        or gain == 0
    ):
        return None
    if model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_AFFINE and bias[0] == 0 and bias[1] == -gain:
        return _lengths(model, actuator)
    if model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_NONE:
        forces = _forces(model, actuator)
        return None if forces is None else forces / gain
    return None


def _lengths(model: mujoco.MjModel, actuator: int) -> np.ndarray | None:
    """``[2]`` the lengths of an actuator between which its joint or tendon may move."""
    gear, target = model.actuator_gear[actuator, 0], model.actuator_trnid[actuator, 0]
    if model.actuator_trntype[actuator] in _JOINTS:
        if model.jnt_type[target] in _SCALAR and model.jnt_limited[target]:
            return gear * model.jnt_range[target]
    elif model.actuator_trntype[actuator] == mujoco.mjtTrn.mjTRN_TENDON and model.tendon_limited[target]:
        return gear * model.tendon_range[target]
    return None


def _forces(model: mujoco.MjModel, actuator: int) -> np.ndarray | None:
    """``[2]`` the forces of an actuator to which it, its joint or its tendon is limited."""
    gear, target = model.actuator_gear[actuator, 0], model.actuator_trnid[actuator, 0]
    if model.actuator_forcelimited[actuator]:
        return np.array(model.actuator_forcerange[actuator])
    if model.actuator_trntype[actuator] in _JOINTS:
        if gear and model.jnt_type[target] in _SCALAR and model.jnt_actfrclimited[target]:
            return model.jnt_actfrcrange[target] / gear
    elif model.actuator_trntype[actuator] == mujoco.mjtTrn.mjTRN_TENDON and model.tendon_actfrclimited[target]:
        return np.array(model.tendon_actfrcrange[target])
    return None

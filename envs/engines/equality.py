"""The part of connect and weld constraints that MJX leaves out: what velocities alone do to their errors.

MuJoCo lets the acceleration of a constraint's error, ``J @ qacc + Jdot @ qvel``, follow a damped spring. MJX forgets the
second term, which grows with the square of the velocity: a body that swings about a connect is pulled too weakly. C MuJoCo
has it.
"""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.engines.mjx_import import mjx

_CONNECT, _WELD = mujoco.mjtEq.mjEQ_CONNECT, mujoco.mjtEq.mjEQ_WELD


def forward(model: mujoco.MjModel, mjx_model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """``mjx.forward`` of a model with connect or weld constraints, with the term that it leaves out."""
    data = mjx.sensor_pos(mjx_model, mjx.fwd_position(mjx_model, data))
    data = mjx.sensor_vel(mjx_model, mjx.fwd_velocity(mjx_model, data))
    data = mjx.fwd_acceleration(mjx_model, mjx.fwd_actuation(mjx_model, data))
    known = drift(model, mjx_model, data)  # MJX puts these rows first
    aref = data._impl.efc_aref.at[: known.shape[0]].add(-known)
    return mjx.sensor_acc(mjx_model, mjx.solve(mjx_model, data.tree_replace({"_impl.efc_aref": aref})))


def drift(model: mujoco.MjModel, mjx_model: mjx.Model, data: mjx.Data) -> jax.Array:
    """``Jdot @ qvel``: how the constraints' errors accelerate when no joint does.

    Args:
      model: the model; says which bodies and sites a constraint holds together.
      mjx_model: the same model in one world, which may have its own ``eq_data`` and ``site_quat``.
      data: data after ``mjx.fwd_velocity``.

    Returns:
      ``[3 * connects + 6 * welds]`` of all connect and then all weld constraints, in m/s^2, or in 1/s^2 for the orientation
      of welds. It is 0 for those that are not active.
    """
    ancestors = np.zeros((model.nbody, model.nbody), bool)  # of each body, itself among them
    for body in range(1, model.nbody):
        ancestors[body] = ancestors[model.body_parentid[body]]
        ancestors[body, body] = True
    moves = jnp.asarray(ancestors[:, model.dof_bodyid], data.qvel.dtype)  # [nbody, nv]
    spin, velocity = data.cvel[:, :3], data.cvel[:, 3:]
    # Accelerations of bodies whose joints do not accelerate. Like velocities, they are those at the tree's centre of mass.
    spin_dot, acceleration = jnp.split(moves @ (data.cdof_dot * data.qvel[:, None]), 2, axis=1)

    def at(body: np.ndarray, point: jax.Array) -> jax.Array:
        """Acceleration of the points ``[n, 3]`` that are fixed to the bodies ``[n]``."""
        arm = point - data.subtree_com[model.body_rootid[body]]
        moving = velocity[body] + jnp.cross(spin[body], arm)
        return acceleration[body] + jnp.cross(spin_dot[body], arm) + jnp.cross(spin[body], moving)

    def points(body: np.ndarray, obj: np.ndarray, is_site: np.ndarray, anchor: jax.Array) -> jax.Array:
        """World positions of the anchors, ``[n, 3]``."""
        of_body = data.xpos[body] + jnp.einsum("nij,nj->ni", data.xmat[body], anchor)
        return jnp.where(is_site[:, None], data.site_xpos[obj * is_site], of_body) if model.nsite else of_body

    def turns(body: np.ndarray, obj: np.ndarray, is_site: np.ndarray, of_body: jax.Array) -> jax.Array:
        """Orientations of the welded frames, ``[n, 4]``."""
        inner = jnp.where(is_site[:, None], mjx_model.site_quat[obj * is_site], of_body) if model.nsite else of_body
        return _product(data.xquat[body], inner)

    rows = []
    for kind in (_CONNECT, _WELD):
        chosen = np.flatnonzero(model.eq_type == kind)
        is_site = model.eq_objtype[chosen] == mujoco.mjtObj.mjOBJ_SITE
        obj1, obj2 = model.eq_obj1id[chosen], model.eq_obj2id[chosen]
        bodies = [np.where(is_site, model.site_bodyid[obj * is_site], obj) if model.nsite else obj for obj in (obj1, obj2)]
        of_eq = mjx_model.eq_data[chosen]
        anchors = (of_eq[:, :3], of_eq[:, 3:6]) if kind == _CONNECT else (of_eq[:, 3:6], of_eq[:, :3])
        first, second = (
            at(body, points(body, obj, is_site, anchor))
            for body, obj, anchor in zip(bodies, (obj1, obj2), anchors, strict=True)
        )
        apart = first - second
        if kind == _WELD:
            # The error of orientation is the vector part of conj(q2) q1. With w the difference of the spins, its rate is
            # that of conj(q2) w q1 / 2. This is the rate of that.
            one, two = bodies
            q1 = turns(one, obj1, is_site, of_eq[:, 6:10])
            q2 = turns(two, obj2, is_site, jnp.zeros_like(q1).at[:, 0].set(1))
            w = spin[one] - spin[two]
            inner = spin_dot[one] - spin_dot[two] + jnp.cross(w, spin[two])
            between = jnp.concatenate([-0.5 * (w * w).sum(1, keepdims=True), inner], axis=1)
            conjugate = q2 * jnp.array([1.0, -1, -1, -1], q2.dtype)
            turn = 0.5 * _product(_product(conjugate, between), q1)[:, 1:]
            apart = jnp.concatenate([apart, of_eq[:, 10:11] * turn], axis=1)
        rows.append((apart * data.eq_active[chosen][:, None]).ravel())
    return jnp.concatenate(rows)


def _product(p: jax.Array, q: jax.Array) -> jax.Array:
    """Products of quaternions ``[n, 4]``."""
    scalar = p[:, :1] * q[:, :1] - (p[:, 1:] * q[:, 1:]).sum(1, keepdims=True)
    return jnp.concatenate([scalar, p[:, :1] * q[:, 1:] + q[:, :1] * p[:, 1:] + jnp.cross(p[:, 1:], q[:, 1:])], axis=1)

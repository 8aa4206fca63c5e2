"""Domain randomisation: worlds that differ from each other, drawn anew at every reset. It works on every engine."""

import dataclasses
import operator
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.base import Obs, State, obs_sizes, split_obs
from envs.engines import ModelFields
from envs.randomization import NOT_RANDOMIZED, Randomization, Range
from envs.tasks import MujocoTask
from envs.tasks.contract import ask

OF_JOINTS = {"damping": "dof_damping", "armature": "dof_armature", "friction_loss": "dof_frictionloss"}
"""Settings that are factors on a field of the degrees of freedom."""

_SCALAR_JOINTS = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))

_NEEDS = {
    "kp": ("no position actuator", "vary"),
    "kd": ("no actuator with damping of its own", "vary"),
    "damping": ("no damping of joints", "vary"),
    "armature": ("no armature", "vary"),
    "friction_loss": ("no friction loss of joints", "vary"),
    "gravity": ("no gravity", "vary"),
    "payload": ("no free body and no payload_body", "load"),
    "center_of_mass": ("no free body of several parts and no payload_body", "shift"),
    "joint_offset": ("no hinge or slide joint", "offset"),
    "push_speed": ("no body", "push"),
}
"""What a model lacks for which a setting is refused, and what the setting would do to it."""


class RandomizedEnv:
    """An `Env` around a `MujocoTask`, in worlds that differ. It has all other attributes of the task as well.

    Other masses do not change the scaling constants of the constraint solver (``body_invweight0``, ``dof_invweight0``). So
    contacts stay as soft as those of the model itself, on every engine.

    Args:
      task: the task.
      randomization: what is drawn.

    Raises:
      ValueError: the model has nothing that a setting could vary, or the engine cannot let it differ between worlds.
    """

    def __init__(self, task: MujocoTask, randomization: Randomization):
        model = task.model
        self.task = task
        self.randomization = randomization
        self._scalar_joints = model.jnt_qposadr[np.isin(model.jnt_type, _SCALAR_JOINTS)]
        self._payload_body = _payload_body(task)
        self._shapes = {
            "friction": (),
            "mass": (model.nbody,),
            "actuator_gain": (model.nactuator,),
            "kp": (model.nactuator,),
            "kd": (model.nactuator,),
            **dict.fromkeys(OF_JOINTS, (model.nv,)),
            "gravity": (),
            "payload": (),
            "center_of_mass": (3,),
            "joint_offset": self._scalar_joints.shape,
        }
        self._check()
        self.privileged_size = obs_sizes(jax.eval_shape(self.reset, jax.random.key(0)).obs)[1]

    def _check(self) -> None:
        task, model = self.task, self.task.model
        there = {
            "kp": has_kp(model).any(),
            "kd": has_kd(model).any(),
            **{name: getattr(model, field).any() for name, field in OF_JOINTS.items()},
            "gravity": model.opt.gravity.any(),
            "payload": self._payload_body,
            "center_of_mass": self._payload_body and not model.body_simple[self._payload_body],
            "joint_offset": self._scalar_joints.size,
            "push_speed": task.push_dofs,
        }
        for name, has in there.items():
            if getattr(self.randomization, name) != getattr(NOT_RANDOMIZED, name) and not has:
                what, verb = _NEEDS[name]
                raise ValueError(f"{task.name} has {what} that --randomize.{name.replace('_', '-')} could {verb}")
        scale = np.shape(task.obs_noise_scale)
        if self.randomization.obs_noise and scale not in ((), (task.obs_size,)):
            raise ValueError(f"{task.name}.obs_noise_scale must be one number, or {task.obs_size}, not {scale[0]}")

    def __getattr__(self, name: str) -> Any:
        if name == "task":  # it is missing while this is being copied or unpickled
            raise AttributeError(name)
        return getattr(self.task, name)

    def reset(self, key: jax.Array) -> State:
        """See `Env.reset`."""
        drawn = self.randomization
        key_start, key_factors, key_delay, key = jax.random.split(key, 4)
        qpos, qvel, info = ask(self.task, "reset_pose", key_start)
        factors = self._draw_factors(key_factors)
        info = info | {
            "model": self._apply_factors(factors, info.get("model", {})),
            "factors": factors,
            "delay": jax.random.randint(key_delay, (), 0, drawn.action_delay + 1),
            "actions": jnp.zeros((drawn.action_delay + 1, self.task.action_size)),
            "key": key,
        }
        if drawn.obs_delay:
            info["obs_delay"] = jax.random.randint(jax.random.fold_in(key_delay, 1), (), 0, drawn.obs_delay + 1)
        return self._observe(self.task.reset_to(qpos, qvel, info), first=True)

    def step(self, state: State, action: jax.Array) -> State:
        """See `Env.step`."""
        drawn = self.randomization
        key_time, key_push, key = jax.random.split(state.info["key"], 3)
        action, actions = self.applied(state.info, action), self._queue(state.info, action)
        physics = state.physics
        if drawn.push_speed:
            dofs = np.array(self.task.push_dofs)
            push = jax.random.uniform(key_push, dofs.shape, minval=-drawn.push_speed, maxval=drawn.push_speed)
            now = jax.random.uniform(key_time) < self.task.dt / drawn.push_interval
            physics = dataclasses.replace(physics, qvel=physics.qvel.at[dofs].add(jnp.where(now, push, 0.0)))
        info = state.info | {"key": key, "actions": actions}
        state = dataclasses.replace(state, physics=physics, info=info)
        return self._observe(self.task.step(state, action))

    def applied(self, info: dict[str, Any], action: jax.Array) -> jax.Array:
        """See `MujocoTask.applied`."""
        return self._queue(info, action)[self.randomization.action_delay - info["delay"]]

    def _queue(self, info: dict[str, Any], action: jax.Array) -> jax.Array:
        """``[action_delay + 1, action_size]`` the last actions, ``action`` included, newest last."""
        return jnp.concatenate([info["actions"][1:], action[None]])

    def _draw_factors(self, key: jax.Array) -> dict[str, jax.Array]:
        """What this episode draws of the model: factors, and what is added, by the name of the setting."""
        drawn = {}
        keys = [*jax.random.split(key, 3), *(jax.random.fold_in(key, number) for number in range(3, len(self._shapes)))]
        for (name, shape), k in zip(self._shapes.items(), keys, strict=True):
            low, high = bounds(self.randomization, name)
            if (low, high) != bounds(NOT_RANDOMIZED, name):
                drawn[name] = jax.random.uniform(k, shape, minval=low, maxval=high)
        return drawn

    def _apply_factors(self, factors: dict[str, jax.Array], fields: ModelFields) -> dict[str, jax.Array]:
        """Returns ``fields`` of one world together with the fields that ``factors`` change."""
        model, changed = self.task.model, dict(fields)

        def own(name: str) -> jax.Array:
            return changed[name] if name in changed else jnp.asarray(operator.attrgetter(name)(model), jnp.float32)

        if "friction" in factors:
            changed["geom_friction"] = own("geom_friction").at[:, 0].multiply(factors["friction"])
            if model.npair:  # such contacts ignore the friction of their geoms
                changed["pair_friction"] = own("pair_friction").at[:, :2].multiply(factors["friction"])
        if "mass" in factors:
            changed["body_mass"] = own("body_mass") * factors["mass"]
            changed["body_inertia"] = own("body_inertia") * factors["mass"][:, None]
        if "payload" in factors:
            changed["body_mass"] = own("body_mass").at[self._payload_body].add(factors["payload"])
        if "mass" in factors or "payload" in factors:
            subtree = changed["body_mass"]
            for body in range(model.nbody - 1, 0, -1):  # the mass of a body and of all that it carries
                subtree = subtree.at[model.body_parentid[body]].add(subtree[body])
            changed["body_subtreemass"] = subtree
        if "center_of_mass" in factors:
            changed["body_ipos"] = own("body_ipos").at[self._payload_body].add(factors["center_of_mass"])
        if "actuator_gain" in factors:
            for name in ("actuator_gainprm", "actuator_biasprm"):
                changed[name] = own(name) * factors["actuator_gain"][:, None]
        if "kp" in factors:
            kp = jnp.where(has_kp(model), factors["kp"], 1.0)
            changed["actuator_gainprm"] = own("actuator_gainprm").at[:, 0].multiply(kp)
            changed["actuator_biasprm"] = own("actuator_biasprm").at[:, 1].multiply(kp)
        if "kd" in factors:
            kd, velocity = (jnp.where(has(model), factors["kd"], 1.0) for has in (has_kd, is_velocity))
            changed["actuator_biasprm"] = own("actuator_biasprm").at[:, 2].multiply(kd)
            changed["actuator_gainprm"] = own("actuator_gainprm").at[:, 0].multiply(velocity)
        for name, field in OF_JOINTS.items():
            if name in factors:
                changed[field] = own(field) * factors[name]
        if "gravity" in factors:
            changed["opt.gravity"] = own("opt.gravity") * factors["gravity"]
        if "joint_offset" in factors:
            changed["qpos0"] = own("qpos0").at[self._scalar_joints].add(factors["joint_offset"])
        return changed

    def _observe(self, state: State, first: bool = False) -> State:
        """Adds noise to what the policy observes, delays it, and adds what only the critics see."""
        drawn, info = self.randomization, state.info
        key, key_noise = jax.random.split(info["key"])
        true, privileged = split_obs(state.obs)
        noise = drawn.obs_noise * jnp.asarray(self.task.obs_noise_scale, jnp.float32)
        noisy = true + noise * jax.random.normal(key_noise, true.shape)
        if drawn.obs_delay:
            older = jnp.broadcast_to(noisy, (drawn.obs_delay, *noisy.shape)) if first else info["observations"][1:]
            info = info | {"observations": jnp.concatenate([older, noisy[None]])}
            noisy = info["observations"][drawn.obs_delay - info["obs_delay"]]
        hidden = [] if privileged is None else [privileged]
        if drawn.privileged:
            hidden += [true, *map(jnp.atleast_1d, info["factors"].values())]
        obs: Obs = {"state": noisy, "privileged": jnp.concatenate(hidden)} if hidden else noisy
        return dataclasses.replace(state, obs=obs, info=info | {"key": key})


def bounds(randomization: Randomization, name: str) -> Range:
    """Between what a setting lets a number be drawn: a range, or as far on one side of zero as on the other."""
    value = getattr(randomization, name)
    return value if isinstance(value, tuple) else (-value, value)


def has_kp(model: mujoco.MjModel) -> np.ndarray:
    """``[nactuator]`` bool: which are position actuators, which pull towards their control."""
    return _affine(model) & (model.actuator_biasprm[:, 1] == -model.actuator_gainprm[:, 0])


def has_kd(model: mujoco.MjModel) -> np.ndarray:
    """``[nactuator]`` bool: which actuators have a force that is linear in the velocity."""
    return _affine(model) & (model.actuator_biasprm[:, 2] != 0)


def is_velocity(model: mujoco.MjModel) -> np.ndarray:
    """``[nactuator]`` bool: which are velocity actuators, whose gain is their damping."""
    return has_kd(model) & ~has_kp(model) & (model.actuator_biasprm[:, 2] == -model.actuator_gainprm[:, 0])


def _affine(model: mujoco.MjModel) -> np.ndarray:
    fixed = model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_FIXED)
    affine = model.actuator_biastype == int(mujoco.mjtBias.mjBIAS_AFFINE)
    return fixed & affine & (model.actuator_gainprm[:, 0] != 0)


def _payload_body(task: MujocoTask) -> int:
    """The number of the task's payload body; 0, which is the world, if there is none."""
    if task.payload_body is not None:
        try:
            return int(task.model.body(task.payload_body).id)
        except KeyError as error:
            raise ValueError(f"{task.name} has no body {task.payload_body!r}, which its payload_body names") from error
    free = task.model.jnt_bodyid[task.model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE)]
    return int(free[0]) if free.size else 0


def with_free_frames(model: mujoco.MjModel) -> mujoco.MjModel:
    """The model without its notes on which frames of bodies, geoms and sites coincide.

    C MuJoCo takes the one for the other where they do. A shift of a centre of mass would shift shapes with it.
    """
    for name in ("body_sameframe", "geom_sameframe", "site_sameframe"):
        getattr(model, name)[:] = int(mujoco.mjtSameFrame.mjSAMEFRAME_NONE)
    return model

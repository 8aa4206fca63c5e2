"""Domain randomisation: worlds that differ from each other, drawn anew at every reset. It works on every engine."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.base import Obs, State, obs_sizes, split_obs
from envs.engines import ModelFields
from envs.randomization import Randomization
from envs.tasks import MujocoTask
from envs.tasks.contract import ask


class RandomizedEnv:
    """An `Env` around a `MujocoTask`, in worlds that differ. It has all other attributes of the task as well.

    Other masses do not change the scaling constants of the constraint solver (``body_invweight0``, ``dof_invweight0``). So
    contacts stay as soft as those of the model itself, on every engine.

    Args:
      task: the task.
      randomization: what is drawn.

    Raises:
      ValueError: pushes are asked for, but the body has no horizontal velocity.
    """

    def __init__(self, task: MujocoTask, randomization: Randomization):
        if randomization.push_speed and not task.push_dofs:
            raise ValueError(f"{task.name} has no body that --randomize.push-speed could push")
        self.task = task
        self.randomization = randomization
        self.privileged_size = obs_sizes(jax.eval_shape(self.reset, jax.random.key(0)).obs)[1]

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
            "model": _apply_factors(self.task.model, factors, info.get("model", {})),
            "factors": factors,
            "delay": jax.random.randint(key_delay, (), 0, drawn.action_delay + 1),
            "actions": jnp.zeros((drawn.action_delay + 1, self.task.action_size)),
            "key": key,
        }
        return self._observe(self.task.reset_to(qpos, qvel, info))

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
        model, drawn = self.task.model, self.randomization
        shapes: dict[str, tuple[int, ...]] = {"friction": (), "mass": (model.nbody,), "actuator_gain": (model.nactuator,)}
        factors = {}
        for name, k in zip(shapes, jax.random.split(key, len(shapes)), strict=True):
            low, high = getattr(drawn, name)
            if (low, high) != (1.0, 1.0):
                factors[name] = jax.random.uniform(k, shapes[name], minval=low, maxval=high)
        return factors

    def _observe(self, state: State) -> State:
        """Adds noise to what the policy observes, and what only the critics see."""
        key, key_noise = jax.random.split(state.info["key"])
        true, privileged = split_obs(state.obs)
        noisy = true + self.randomization.obs_noise * jax.random.normal(key_noise, true.shape)
        hidden = [] if privileged is None else [privileged]
        if self.randomization.privileged:
            hidden += [true, *map(jnp.atleast_1d, state.info["factors"].values())]
        obs: Obs = {"state": noisy, "privileged": jnp.concatenate(hidden)} if hidden else noisy
        return dataclasses.replace(state, obs=obs, info=state.info | {"key": key})


def _apply_factors(model: mujoco.MjModel, factors: dict[str, jax.Array], fields: ModelFields) -> dict[str, jax.Array]:
    """Returns ``fields`` of one world together with the fields that ``factors`` change."""

    def own(name: str) -> jax.Array:
        return fields[name] if name in fields else jnp.asarray(getattr(model, name), jnp.float32)

    changed = {}
    if "friction" in factors:
        changed["geom_friction"] = own("geom_friction").at[:, 0].multiply(factors["friction"])
        if model.npair:  # such contacts ignore the friction of their geoms
            changed["pair_friction"] = own("pair_friction").at[:, :2].multiply(factors["friction"])
    if "mass" in factors:
        changed["body_mass"] = subtree = own("body_mass") * factors["mass"]
        changed["body_inertia"] = own("body_inertia") * factors["mass"][:, None]
        for body in range(model.nbody - 1, 0, -1):  # the mass of a body and of all that it carries
            subtree = subtree.at[model.body_parentid[body]].add(subtree[body])
        changed["body_subtreemass"] = subtree
    if "actuator_gain" in factors:
        for name in ("actuator_gainprm", "actuator_biasprm"):
            changed[name] = own(name) * factors["actuator_gain"][:, None]
    return {**fields, **changed}

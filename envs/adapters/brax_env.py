"""Our tasks as Brax environments, for code that expects those. Needs Brax.

Brax 0.14's own trainers call ``jax.device_put_replicated``, which JAX 0.10 no longer has. Where it is missing, importing
this module gives it back, so that those trainers run.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs.base import Env as BraxBase
from brax.envs.base import ObservationSize
from brax.envs.base import State as BraxState

import envs
from envs.engines.mjx_import import mjx
from envs.film import picture, view_from
from envs.poses import pose


def _device_put_replicated(x: Any, devices: Sequence[jax.Device]) -> Any:
    """Copies a tree to each of the devices, along a new leading axis, as JAX's guide on leaving ``pmap`` does."""
    sharding = jax.sharding.NamedSharding(jax.sharding.Mesh(np.array(devices), ("devices",)), jax.P("devices"))
    return jax.tree.map(lambda y: jax.device_put(jnp.broadcast_to(y, (len(devices), *jnp.shape(y))), sharding), x)


if not hasattr(jax, "device_put_replicated"):
    jax.device_put_replicated = _device_put_replicated


class BraxEnv(BraxBase):
    """One world of a task behind Brax's interface. Actions are in [-1, 1].

    ``done`` means that the task itself ended the episode. It knows no time limit: the caller's wrapper applies that. When
    ``done`` is True, ``obs`` is the final observation. Brax's ``AutoResetWrapper`` throws it away, so do not use that
    wrapper where final observations matter.

    Args:
      env: the task, from `envs.make`.
    """

    def __init__(self, env: Any):
        self.env = env

    def reset(self, rng: jax.Array) -> BraxState:
        """See Brax."""
        return self._wrap(self.env.reset(rng), {}, {})

    def step(self, state: BraxState, action: jax.Array) -> BraxState:
        """See Brax. What wrappers keep in ``info`` and ``metrics`` is passed on."""
        return self._wrap(self.env.step(state.pipeline_state, action), state.info, state.metrics)

    @property
    def observation_size(self) -> ObservationSize:
        """Width of an observation, or of each of its parts if it is a dict."""
        if self.env.privileged_size:
            return {"state": (self.env.obs_size,), "privileged_state": (self.env.privileged_size,)}
        return self.env.obs_size

    @property
    def action_size(self) -> int:
        """Width of an action."""
        return self.env.action_size

    @property
    def backend(self) -> str:
        """Name of the physics engine."""
        return self.env.engine_name

    @property
    def dt(self) -> float:
        """Seconds of one environment step."""
        return self.env.dt

    @functools.cached_property
    def sys(self) -> Any:
        """The model as MJX has it, if MJX simulates it.

        Raises:
          AttributeError: another engine does.
        """
        if self.env.engine_name != "mjx":
            raise AttributeError(
                f'the engine {self.env.engine_name} has no sys: use env.model, or make the task with physics="mjx"'
            )
        return mjx.put_model(self.env.model)

    def render(
        self, trajectory: list[envs.State] | envs.State, height: int = 240, width: int = 320, camera: str | int | None = None
    ) -> list[np.ndarray] | np.ndarray:
        """Draws each state of a ``trajectory``, or a single one, as ``[height, width, 3]`` uint8.

        Args:
          trajectory: the ``pipeline_state`` of one or several states.
          height: height of a picture (pixels).
          width: width of a picture (pixels).
          camera: a camera of the model, by name or number; -1 for one that sees everything; None for the task's own.

        Raises:
          UserError: this machine cannot draw.
        """
        states = trajectory if isinstance(trajectory, list) else [trajectory]
        model = self.env.model
        positions = np.stack([np.asarray(pose(model, state)) for state in states])
        view = view_from(model, self.env.camera if camera is None else camera, positions)
        pictures = [picture(model, state, view, width, height) for state in states]
        return pictures if isinstance(trajectory, list) else pictures[0]

    def _wrap(self, state: envs.State, info: dict, metrics: dict) -> BraxState:
        obs = state.obs
        if isinstance(obs, dict):
            obs = {"state": obs["state"], "privileged_state": obs["privileged"]}
        done = jnp.asarray(state.terminated | state.truncated, jnp.float32)
        return BraxState(state, obs, state.reward, done, {**metrics, **state.metrics}, info)

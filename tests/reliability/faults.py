"""Faults put into a run on purpose, inside the compiled program.

What the fault is (which value, where, on which steps, in which worlds) is an argument of the program: one compilation serves
every fault.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import envs
from envs.finite import LIMIT
from envs.vector import Row, StepStats
from mjx_tecrl import OnPolicyAgent
from mjx_tecrl.exploration import Draw
from train.config import Config
from train.problem import make_problem
from train.state import TrainState
from train.training import Training

VALUES = (float("nan"), float("inf"), float("-inf"), 1e30)
IN_WORLDS = ("qpos", "qvel", "obs", "reward", "info", "metric", "action")
"""Places that are struck world by world: what a step starts from (``qpos``, ``qvel``), its results, and the action."""
IN_UPDATES = ("gradient", "loss")
PLACES = (*IN_WORLDS, "start", *IN_UPDATES)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Fault:
    """A value that is put into a place whenever it strikes in a chunk.

    Attributes:
      value: [] the value.
      place: [] int32 index into `PLACES`.
      worlds: ``[vector steps, num_envs]`` bool, for the places `IN_WORLDS`.
      starts: ``[pool_size]`` bool, for ``start``.
      updates: ``[updates]`` bool, for the places `IN_UPDATES`: the updates of the chunk, where those of a rollout count as
      one.
    """

    value: jax.Array
    place: jax.Array
    worlds: jax.Array
    starts: jax.Array
    updates: jax.Array


class FaultyTraining(Training):
    """A `Training` whose chunks take a `Fault` (see `chunk`), which strikes its task, its worlds and its agent."""

    def __init__(self, config: Config):
        self.fault: Any = None  # the fault of the chunk that is being traced
        self.struck: Any = None  # [num_envs] which worlds are struck on the present step
        self._now: Any = None
        problem = make_problem(config)
        self._healthy = problem.agent
        agent: Any = problem.agent._replace(  # type: ignore[call-arg]
            init_exploration=self._init_exploration, explore=self._explore, update=self._update
        )
        env: Any = _FaultyEnv(problem.env, self)
        with mock.patch("train.training.VectorEnv", _FaultyVectorEnv):
            super().__init__(dataclasses.replace(problem, env=env, agent=agent))
        self.updates_per_chunk = self.chunk_iterations * (config.updates_per_step or 1)
        # The healthy function is traced once and for all. This one is not, since the fault differs each time.
        self._iterate: Any = lambda state: self.iteration(state)
        self._iterate.eval_shape = functools.partial(jax.eval_shape, self._iterate)
        self._compiled = jax.jit(self._chunk)

    @property
    def vector_steps(self) -> int:
        """Vector steps in a chunk."""
        return self.chunk_iterations * self.iteration.vector_steps

    def no_fault(self) -> Fault:
        """A fault that never strikes."""
        return Fault(
            value=jnp.zeros(()),
            place=jnp.zeros((), jnp.int32),
            worlds=jnp.zeros((self.vector_steps, self.problem.config.num_envs), bool),
            starts=jnp.zeros(self.worlds.pool_size, bool),
            updates=jnp.zeros(self.updates_per_chunk, bool),
        )

    def make_fault(self, value: float, place: str, rate: float | None, seed: int = 0) -> Fault:
        """A fault that strikes each world, start state or update with probability ``rate``; None: one of them, once."""
        none, rng = self.no_fault(), np.random.default_rng(seed)

        def draw(like: jax.Array) -> np.ndarray:
            once = np.arange(like.size).reshape(like.shape) == rng.integers(like.size)
            return once if rate is None else rng.random(like.shape) < rate

        field = {"start": "starts"}.get(place, "updates" if place in IN_UPDATES else "worlds")
        struck = {field: jnp.asarray(draw(getattr(none, field)))}
        return dataclasses.replace(
            none, value=jnp.float32(value), place=jnp.asarray(PLACES.index(place), jnp.int32), **struck
        )

    def begin(self, root: jax.Array) -> TrainState:
        """A fresh state."""
        self.fault, self._first = self.no_fault(), (0, 0)
        return self.init(root, self.draw_starts(root, jnp.zeros((), jnp.int32)))

    def chunk(self, state: TrainState, root: jax.Array, number: int, fault: Fault) -> tuple[TrainState, dict[str, Any], int]:
        """Trains for a chunk under ``fault``. Also returns how often the fault struck in a world that made a step.

        Unlike `Program.train_chunk` it does not donate ``state``.
        """
        starts = self.draw_starts(root, jnp.asarray(number, jnp.int32))
        state, metrics = self._compiled(state, starts, fault)
        metrics = jax.device_get(metrics)
        # Sums over the chunk come divided by the number of transitions, and so does the number of vector steps.
        struck, steps = metrics.pop("env/struck"), metrics.pop("env/vector_steps")
        return state, metrics, round(float(struck / steps * self.vector_steps))

    def put(self, x: jax.Array, place: str, struck: jax.Array) -> jax.Array:
        """``x``, whose first number is the fault's value if the fault strikes and ``place`` is its place."""
        strikes = struck & (self.fault.place == PLACES.index(place))
        first = jnp.arange(x.size).reshape(x.shape) == 0
        return jnp.where(strikes & first, self.fault.value, x)

    # Everything below is traced.

    def _chunk(self, state: TrainState, starts: envs.State, fault: Fault) -> tuple[TrainState, dict[str, jax.Array]]:
        self.fault, self._first = fault, (state.vector_steps, state.actor.agent.updates)
        starts = dataclasses.replace(starts, obs=jax.vmap(lambda x, s: self.put(x, "start", s))(starts.obs, fault.starts))
        healthy, jax.value_and_grad = jax.value_and_grad, self._value_and_grad(jax.value_and_grad)
        try:
            state = self.advance(self.begin_chunk(state, starts), self.chunk_iterations)
            return state, self.report(state)
        finally:
            jax.value_and_grad = healthy

    def _init_exploration(self, key: jax.Array, num_envs: int) -> Any:
        """The healthy agent's, and the number of the present vector step."""
        return self._healthy.init_exploration(key, num_envs), jnp.zeros((), jnp.int32)

    def _explore(self, state: Any, draw: Draw, starts_episode: jax.Array, key: jax.Array) -> Any:
        own, number = state
        self.struck = self.fault.worlds[number - self._first[0]]
        action, own = self._healthy.explore(own, draw, starts_episode, key)
        return jax.vmap(lambda x, s: self.put(x, "action", s))(action, self.struck), (own, number + 1)

    def _update(self, agent: Any, batch: Any, key: jax.Array, *moves: bool | None) -> Any:
        healthy = self._healthy
        each = healthy.updates_per_rollout if isinstance(healthy, OnPolicyAgent) else 1
        self._now = self.fault.updates[(agent.updates - self._first[1]) // each]
        return healthy.update(agent, batch, key, *moves)

    def _value_and_grad(self, healthy: Callable[..., Any]) -> Callable[..., Any]:
        def value_and_grad(loss: Callable[..., Any], has_aux: bool = False) -> Callable[..., Any]:
            def faulty_loss(*args: Any) -> Any:
                returned = loss(*args)
                value, *aux = returned if has_aux else (returned,)
                strikes = self._now & (self.fault.place == PLACES.index("loss"))
                finite = jnp.isfinite(self.fault.value)
                # A value that is not finite is added, which leaves the gradient finite; others multiply the gradient too.
                value *= jnp.where(strikes & finite, self.fault.value, 1.0)
                value += jnp.where(strikes & ~finite, self.fault.value, 0.0)
                return (value, *aux) if has_aux else value

            def differentiate(*args: Any) -> Any:
                value, gradient = healthy(faulty_loss, has_aux=has_aux)(*args)
                leaves, structure = jax.tree.flatten(gradient)
                leaves[0] = self.put(leaves[0], "gradient", self._now)
                return value, jax.tree.unflatten(structure, leaves)

            return differentiate

        return value_and_grad


class _FaultyEnv:
    """A task that is struck where ``info["struck"]`` says so. All other attributes are the task's own."""

    def __init__(self, env: Any, faults: FaultyTraining):
        self._env, self._faults = env, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, key: jax.Array) -> envs.State:
        state = self._env.reset(key)
        own = {"struck": jnp.zeros((), bool), "memory": jnp.zeros(())}
        return dataclasses.replace(state, info=state.info | own)

    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        if self._faults.fault is None:  # an evaluation
            return self._env.step(state, action)
        struck, put = state.info["struck"], self._faults.put
        physics = state.physics
        physics = dataclasses.replace(
            physics, qpos=put(physics.qpos, "qpos", struck), qvel=put(physics.qvel, "qvel", struck)
        )
        new = self._env.step(dataclasses.replace(state, physics=physics), action)
        name = min(new.metrics)
        return dataclasses.replace(
            new,
            obs=put(new.obs, "obs", struck),
            reward=put(new.reward, "reward", struck),
            metrics=new.metrics | {name: put(new.metrics[name], "metric", struck)},
            info=new.info | {"memory": put(new.info["memory"], "info", struck), "struck": jnp.zeros((), bool)},
        )


class _FaultyVectorEnv(envs.VectorEnv):
    """Tells the worlds when they are struck, and counts how often."""

    env: _FaultyEnv  # type: ignore[assignment]

    def step(self, state: envs.VectorState, action: jax.Array) -> tuple[envs.VectorState, Row, StepStats]:
        struck = self.env._faults.struck
        worlds = dataclasses.replace(state.worlds, info=state.worlds.info | {"struck": struck})
        after, row, stats = super().step(dataclasses.replace(state, worlds=worlds), action)
        # A step that starts an episode ignores all that it is given, and so the fault.
        own = {"struck": (struck & ~state.starts_episode).sum(dtype=jnp.float32), "vector_steps": jnp.ones(())}
        return after, row, dataclasses.replace(stats, metric_sums=stats.metric_sums | own)


def corrupt(tree: Any) -> dict[str, int]:
    """How many numbers of each array are not finite or beyond `LIMIT`, by name. Arrays without such numbers are left out."""
    found = {}
    for path, x in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if jnp.issubdtype(x.dtype, jnp.floating):
            count = int((~(np.abs(np.asarray(x)) <= LIMIT)).sum())
            if count:
                found[jax.tree_util.keystr(path, simple=True, separator=".")] = count
    return found

"""The iteration of agents with a replay: one vector step, one row per world into the ring, then gradient steps."""

import dataclasses

import jax
import jax.numpy as jnp

from envs import VectorEnv
from envs.command import UserError
from envs.vector import StepStats
from mjx_tecrl import Agent
from mjx_tecrl.agent import learn
from mjx_tecrl.normalizer import RewardScaler, init_reward_scaler, update_reward_scaler
from mjx_tecrl.replay import Replay, init_replay, insert, sample
from mjx_tecrl.types import Metrics
from train.collect import empty_row, step_worlds
from train.mesh import sharded
from train.problem import Actor, Problem
from train.state import TrainState


class OffPolicyIteration:
    """See `train.iteration.Iteration`. There are no gradient steps before the replay has had its first fill.

    Args:
      problem: the task, and an agent with a replay.
      worlds: all worlds of the task.
      mesh: devices that share each batch; None for one device.

    Raises:
      UserError: a config without a replay, or batches that the devices cannot share equally.
    """

    vector_steps = 1

    def __init__(self, problem: Problem, worlds: VectorEnv, mesh: jax.sharding.Mesh | None = None):
        config = problem.config
        assert isinstance(problem.agent, Agent)
        if not config.replay_size:
            raise UserError(f"{config.agent} learns from a replay: --replay-size must be at least 1, not 0.")
        if mesh and config.batch_size % mesh.size:
            raise UserError(f"{mesh.size} devices cannot share a --batch-size of {config.batch_size} equally.")
        self._problem = problem
        self._agent = problem.agent
        self._config = config
        self._worlds = worlds
        self._mesh = mesh

    @property
    def pace(self) -> str:
        """How often there are gradient steps, in words."""
        updates, every = self._config.update_schedule
        often = "vector step" if every == 1 else f"{every:,d} vector steps"
        steps = every * self._config.num_envs / updates
        return f"{updates:,d} after every {often}, or one per {steps:,.4g} environment steps"

    def updates(self, iterations: int) -> int:
        """Gradient steps in the first so many iterations of a run: none before the first fill."""
        updates, every = self._config.update_schedule
        before = self._config.first_fill - 1
        return max(0, iterations // every - before // every) * updates

    def init_memory(self) -> tuple[Replay, RewardScaler | tuple[()]]:
        """An empty ring, and the statistics of the rewards where they are normalised."""
        replay = init_replay(
            jax.eval_shape(lambda: empty_row(self._problem)), self._config.replay_size // self._config.num_envs
        )
        return replay, init_reward_scaler(self._config.num_envs) if self._config.normalize_reward else ()

    def __call__(self, state: TrainState) -> tuple[TrainState, tuple[StepStats, Metrics]]:
        """One step of all worlds, one row per world into the replay, and the gradient steps."""
        uniform = None
        if self._config.random_start:
            uniform = state.vector_steps < self._config.first_fill
        state, row, stats, key_learn = step_worlds(self._problem, self._worlds, state, state.actor.normalizer, uniform)
        assert isinstance(state.replay, Replay)
        replay, rewards = insert(state.replay, row), state.rewards
        if isinstance(rewards, RewardScaler):
            rewards = update_reward_scaler(rewards, row.reward, row.done, row.valid, self._agent.discount)

        made, every = self._config.update_schedule
        learns = (replay.size >= self._config.first_fill) & (state.vector_steps % every == 0)

        def learn_once(_: jax.Array, learned: tuple[Actor, Metrics]) -> tuple[Actor, Metrics]:
            return self._learn(learned[0], replay, rewards, key_learn)

        # A loop of one turn or none, and not a branch: a GPU would copy all parameters out of a branch, but a loop changes
        # them where they lie.
        none = jax.tree.map(
            lambda s: jnp.full(s.shape, jnp.nan, s.dtype), jax.eval_shape(learn_once, 0, (state.actor, None))[1]
        )
        actor, metrics = jax.lax.fori_loop(0, learns.astype(jnp.int32), learn_once, (state.actor, none))
        updates = state.updates + jnp.where(learns, made, 0)
        return dataclasses.replace(state, actor=actor, rewards=rewards, replay=replay, updates=updates), (stats, metrics)

    def _learn(
        self, actor: Actor, replay: Replay, rewards: RewardScaler | tuple[()], key: jax.Array
    ) -> tuple[Actor, Metrics]:
        """The gradient steps of one iteration, on batches that are all drawn in one gather."""
        (updates, _), size = self._config.update_schedule, self._config.batch_size
        key_sample, key_update = jax.random.split(key)
        drawn = sample(replay, key_sample, updates * size, self._agent.n_step, self._agent.discount)
        drawn = drawn.map_obs(lambda obs: self._problem.observe(actor.normalizer, obs))
        if isinstance(rewards, RewardScaler):
            drawn = dataclasses.replace(drawn, reward=rewards.scale(drawn.reward))
        batches = jax.tree.map(lambda x: x.reshape(updates, size, *x.shape[1:]), drawn)

        if self._mesh:
            batches = jax.lax.with_sharding_constraint(batches, sharded(self._mesh, axis=1))
        agent, metrics = learn(self._agent, actor.agent, batches, jax.random.split(key_update, updates))
        return dataclasses.replace(actor, agent=agent), metrics

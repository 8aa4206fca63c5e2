"""How agents with a replay learn: one row per world into the ring, then gradient steps on batches drawn from it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs.command import UserError
from envs.vector import Row, StepStats
from mjx_tecrl import Agent, Batch
from mjx_tecrl.normalizer import Normalizer, RewardScaler, init_reward_scaler, update_reward_scaler
from mjx_tecrl.replay import Replay, init_replay, insert, sample
from train.config import Config
from train.mesh import shared
from train.state import Actor, TrainState

Collect = Callable[[TrainState, Normalizer], tuple[TrainState, Row, StepStats, jax.Array]]
"""One step of all worlds by the present policy, which sees through a normaliser:
``(state, normalizer) -> (state, row, what to count, a key to learn with)``."""
See = Callable[[Normalizer, jax.Array], jax.Array]
"""Observations as networks see them."""


class ReplayLoop:
    """A turn is one step of all worlds, and gradient steps once the replay has had its first fill.

    Args:
      config: a validated config.
      agent: one with a replay.
      mesh: devices that share each batch; None for one device.

    Raises:
      UserError: a config without a replay, or batches that the devices cannot share equally; one sentence.
    """

    turn_iterations = 1

    def __init__(self, config: Config, agent: Agent, mesh: jax.sharding.Mesh | None = None):
        if not config.replay_size:
            raise UserError(f"{config.agent} learns from a replay: --replay-size must be at least 1, not 0.")
        if mesh and config.batch_size % mesh.size:
            raise UserError(f"{mesh.size} devices cannot share a --batch-size of {config.batch_size} equally.")
        self.config = config
        self.agent = agent
        self.mesh = mesh
        self.turns_per_chunk = max(1, config.log_steps // config.num_envs)
        self.explore = agent.explore

    def init_exploration(self, key: jax.Array) -> Any:
        """The state of the exploration noise."""
        return self.agent.init_exploration(key, self.config.num_envs)

    def init_rewards(self) -> RewardScaler | tuple[()]:
        """The statistics of the rewards, where they are normalised."""
        return init_reward_scaler(self.config.num_envs) if self.config.normalize_reward else ()

    def init_replay(self, row_shapes: Row) -> Replay:
        """An empty ring."""
        return init_replay(row_shapes, self.config.replay_size // self.config.num_envs)

    def turn(self, state: TrainState, collect: Collect, see: See) -> tuple[TrainState, Any]:
        """One step of all worlds, one row into the replay, and the gradient steps."""
        state, row, stats, key_learn = collect(state, state.actor.normalizer)
        assert isinstance(state.replay, Replay)
        replay, rewards = insert(state.replay, row), state.rewards
        if isinstance(rewards, RewardScaler):
            rewards = update_reward_scaler(rewards, row.reward, row.done, row.valid, self.agent.discount)

        def learn(actor: Actor) -> tuple[Actor, dict[str, jax.Array]]:
            updates, size = self.config.updates_per_step, self.config.batch_size
            key_sample, key_update = jax.random.split(key_learn)
            # The batches of all gradient steps in one gather.
            drawn = sample(replay, key_sample, updates * size, self.agent.n_step, self.agent.discount)
            drawn = drawn.map_obs(lambda obs: see(actor.normalizer, obs))
            if isinstance(rewards, RewardScaler):
                drawn = dataclasses.replace(drawn, reward=rewards.scale(drawn.reward))
            batches = jax.tree.map(lambda x: x.reshape(updates, size, *x.shape[1:]), drawn)

            def update(agent: Any, given: tuple[Batch, jax.Array]) -> tuple[Any, dict[str, jax.Array]]:
                batch, key = given
                if self.mesh:
                    batch = jax.lax.with_sharding_constraint(batch, shared(self.mesh))
                return self.agent.update(agent, batch, key)

            agent, metrics = jax.lax.scan(update, actor.agent, (batches, jax.random.split(key_update, updates)))
            return dataclasses.replace(actor, agent=agent), metrics

        def wait(actor: Actor) -> tuple[Actor, dict[str, jax.Array]]:
            shapes = jax.eval_shape(learn, actor)[1]
            return actor, jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes)

        filled = replay.size * self.config.num_envs >= self.config.learning_starts
        actor, learned = jax.lax.cond(filled, learn, wait, state.actor)
        updates = state.updates + jnp.where(filled, self.config.updates_per_step, 0)
        return dataclasses.replace(state, actor=actor, rewards=rewards, replay=replay, updates=updates), (stats, learned)

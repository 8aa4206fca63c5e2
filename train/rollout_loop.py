"""How on-policy agents learn: a rollout of all worlds under one policy, one update on it, and it is forgotten."""

import dataclasses
from typing import Any

import jax

from envs.command import UserError
from envs.vector import Row
from mjx_tecrl import OnPolicyAgent, Rollout
from mjx_tecrl.exploration import Draw
from train.config import REPLAY_FIELDS, Config, flag
from train.replay_loop import Collect, See
from train.state import TrainState, join


class RolloutLoop:
    """A turn is a rollout, ``rollout_steps`` steps of all worlds, and one update on it.

    The statistics of the observations go on with every step, but all of a rollout, and the update on it, is seen through
    those from before it: the update judges actions as the policy that drew them saw the world.

    Args:
      config: a validated config.
      agent: an on-policy one.

    Raises:
      UserError: a config with a replay, or a rollout that cannot be divided into the agent's minibatches; one sentence.
    """

    def __init__(self, config: Config, agent: OnPolicyAgent):
        for name in REPLAY_FIELDS:
            if getattr(config, name):
                raise UserError(
                    f"{config.agent} learns from rollouts and has no replay: {flag(name)} must stay 0, "
                    f"not {getattr(config, name)}."
                )
        for name in ("normalize_reward", "random_start"):
            if getattr(config, name):
                raise UserError(f"{config.agent} learns from rollouts and has no replay: {flag(name)} must stay off.")
        samples = agent.rollout_steps * config.num_envs
        if samples >= 2**31:
            raise UserError(
                f"--agent.rollout-steps {agent.rollout_steps} of {config.num_envs} worlds are {samples} samples, and at "
                f"most {2**31 - 1} can be counted: lower one of them."
            )
        if samples % agent.minibatches:
            raise UserError(
                f"--agent.minibatches {agent.minibatches} must divide the {samples} samples of a rollout "
                f"({agent.rollout_steps} steps of {config.num_envs} worlds)."
            )
        self.agent = agent
        self.turn_iterations = agent.rollout_steps
        self.turns_per_chunk = max(1, config.log_steps // samples)

    def init_exploration(self, key: jax.Array) -> tuple[()]:
        """None beside the policy's own."""
        return ()

    def init_rewards(self) -> tuple[()]:
        """No statistics of rewards."""
        return ()

    def init_replay(self, row_shapes: Row) -> tuple[()]:
        """No replay."""
        return ()

    def explore(self, state: Any, draw: Draw, starts_episode: jax.Array, key: jax.Array) -> tuple[jax.Array, Any]:
        """The policy's own samples."""
        return draw(key), state

    def turn(self, state: TrainState, collect: Collect, see: See) -> tuple[TrainState, Any]:
        """A rollout, and the update on it."""
        normalizer = state.actor.normalizer

        def step(state: TrainState, _: None) -> tuple[TrainState, Any]:
            state, row, stats, key_learn = collect(state, normalizer)
            return state, (row, stats, key_learn)

        state, (rows, stats, keys) = jax.lax.scan(step, state, length=self.turn_iterations)
        rollout = Rollout(
            obs=see(normalizer, rows.obs),
            action=rows.action,
            reward=rows.reward,
            terminated=rows.terminated,
            done=rows.done,
            valid=rows.valid,
            last_obs=see(normalizer, join(state.envs.worlds.obs)),
        )
        agent, metrics = self.agent.update(state.actor.agent, rollout, keys[-1])
        updates = state.updates + self.agent.updates_per_rollout
        state = dataclasses.replace(state, actor=dataclasses.replace(state.actor, agent=agent), updates=updates)
        # One more axis, that of the updates in a turn.
        return state, (jax.tree.map(lambda x: x.sum(0), stats), jax.tree.map(lambda x: x[None], metrics))

"""The iteration of on-policy agents: a rollout of all worlds under one policy, and one update on it."""

import dataclasses

import jax

from envs import Row, VectorEnv
from envs.command import UserError
from envs.vector import StepStats
from mjx_tecrl import OnPolicyAgent, Rollout
from mjx_tecrl.types import Metrics
from train.collect import step_worlds
from train.config import REPLAY_FIELDS, flag
from train.problem import Problem
from train.state import TrainState


class OnPolicyIteration:
    """See `train.iteration.Iteration`. The rollout is forgotten after the update.

    The statistics of the observations go on with every step. But the policy sees the whole rollout through the statistics
    from before it, and so does the update: it must see each observation as the policy saw it that drew the action.

    Args:
      problem: the task, and an on-policy agent.
      worlds: all worlds of the task.

    Raises:
      UserError: a config with a replay, or a rollout that cannot be divided into the agent's minibatches.
    """

    def __init__(self, problem: Problem, worlds: VectorEnv):
        config = problem.config
        assert isinstance(problem.agent, OnPolicyAgent)
        no_replay = f"{config.agent} learns from rollouts and has no replay:"
        for name in REPLAY_FIELDS:
            if value := getattr(config, name):
                raise UserError(f"{no_replay} {flag(name)} must stay 0, not {value}.")
        for name in ("normalize_reward", "random_start"):
            if getattr(config, name):
                raise UserError(f"{no_replay} {flag(name)} must stay off.")
        steps, minibatches = problem.agent.rollout_steps, problem.agent.minibatches
        rows = steps * config.num_envs
        if rows >= 2**31:
            raise UserError(
                f"--agent.rollout-steps {steps} of {config.num_envs} worlds are {rows} rows, and at most {2**31 - 1} "
                "can be counted: lower one of them."
            )
        if rows % minibatches:
            raise UserError(
                f"--agent.minibatches {minibatches} must divide the {rows} rows of a rollout "
                f"({steps} steps of {config.num_envs} worlds)."
            )
        self._problem = problem
        self._agent = problem.agent
        self._worlds = worlds
        self.vector_steps = steps

    @property
    def pace(self) -> str:
        """How often there are gradient steps, in words."""
        rows = self.vector_steps * self._problem.config.num_envs
        return f"{self._agent.updates_per_rollout:,d} after each rollout of {rows:,d} environment steps"

    def updates(self, iterations: int) -> int:
        """Gradient steps in so many iterations."""
        return iterations * self._agent.updates_per_rollout

    def init_memory(self) -> tuple[tuple[()], tuple[()]]:
        """Nothing is kept."""
        return (), ()

    def __call__(self, state: TrainState) -> tuple[TrainState, tuple[StepStats, Metrics]]:
        """A rollout, and the update on it."""
        normalizer = state.actor.normalizer

        def step(state: TrainState, _: None) -> tuple[TrainState, tuple[Row, StepStats, jax.Array]]:
            state, row, stats, key_learn = step_worlds(self._problem, self._worlds, state, normalizer)
            return state, (row, stats, key_learn)

        state, (rows, stats, keys) = jax.lax.scan(step, state, length=self.vector_steps)
        rollout = Rollout(
            obs=self._problem.observe(normalizer, rows.obs),
            action=rows.action,
            reward=rows.reward,
            terminated=rows.terminated,
            done=rows.done,
            valid=rows.valid,
            last_obs=self._problem.observe(normalizer, state.envs.worlds.obs),
        )
        agent, metrics = self._agent.update(state.actor.agent, rollout, keys[-1])
        updates = state.updates + self._agent.updates_per_rollout
        state = dataclasses.replace(state, actor=dataclasses.replace(state.actor, agent=agent), updates=updates)
        # The metrics are already means over the update's gradient steps: they count as those of one.
        return state, (jax.tree.map(lambda x: x.sum(0), stats), jax.tree.map(lambda x: x[None], metrics))

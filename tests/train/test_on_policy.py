"""On-policy agents in the training program: rollouts, exact resume, refusals."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.command import UserError
from mjx_tecrl import Rollout
from tests.runs import tiny_config
from train.config import flag
from train.memory import check_memory
from train.problem import make_problem
from train.program import Program
from train.state import TrainState
from train.training import Training

ROOT = jax.random.key(0)
TIMES = ("wall_s", "speed/", "time/")


@functools.cache
def shared_program(agent: str = "ppo") -> Program:
    return Program(tiny_config(agent=agent))


def chunk(program: Program, state: TrainState, number: int) -> tuple[TrainState, dict[str, Any]]:
    state, metrics = program.train_chunk(state, number)
    return state, jax.device_get(metrics)


def test_a_chunk_is_whole_rollouts_and_compiled_once() -> None:
    program = shared_program()
    # 80 steps are two rollouts of 10 steps of 4 worlds, with 8 gradient steps each.
    assert program.training.chunk_iterations == 2
    assert program.training.chunk_steps == 80
    state = program.fresh_state()
    assert state.replay == ()
    assert state.exploration == ()
    assert state.rewards == ()
    for number in (1, 2, 3):
        state, metrics = chunk(program, state, number)
    assert program.advance._cache_size() == 1
    assert int(state.vector_steps) == 60
    assert int(state.actor.agent.updates) == int(state.updates) == 48
    assert {"agent/policy_loss", "agent/value_loss", "agent/entropy", "agent/kl", "agent/std"} <= set(metrics)
    assert metrics["safety/skipped_updates"] == 0
    few = Program(tiny_config(agent="ppo", log_steps=4))
    assert few.training.chunk_iterations == 1


def recorded(**values: Any) -> tuple[Training, TrainState, TrainState, Rollout]:
    """The states around one iteration of a tiny run, and the rollout that the agent was given."""
    rollouts: list[Rollout] = []
    problem = make_problem(tiny_config(agent="ppo", **values))

    def update(state: Any, rollout: Rollout, key: jax.Array) -> Any:
        rollouts.append(rollout)
        return state, {"skipped": jnp.zeros(())}

    agent = problem.agent._replace(update=update)  # type: ignore[call-arg,arg-type]
    training = Training(dataclasses.replace(problem, agent=agent))
    before = jax.jit(training.init)(ROOT, jax.jit(training.draw_starts)(ROOT, 0))

    def iterate(state: TrainState) -> tuple[TrainState, Rollout]:
        after, _ = training.iteration(state)
        return after, rollouts[-1]

    after, rollout = jax.jit(iterate)(before)
    return training, before, after, rollout


def test_a_rollout_holds_what_happened() -> None:
    training, before, after, rollout = recorded(normalize_obs=False)
    assert rollout.obs.shape == (10, 4, 4)
    np.testing.assert_array_equal(rollout.obs[0], before.envs.worlds.obs)
    np.testing.assert_array_equal(rollout.last_obs, after.envs.worlds.obs)
    np.testing.assert_array_equal(rollout.valid[1:], ~rollout.done[:-1])
    assert rollout.done.any()
    # The actions are samples of a Gaussian with standard deviation 1. They are kept as drawn, also beyond [-1, 1].
    assert np.abs(rollout.action).max() > 1
    # The first step is repeated by hand: the worlds see the clipped action.
    stepped = jax.vmap(training.problem.env.step)(before.envs.worlds, jnp.clip(rollout.action[0], -1, 1))
    np.testing.assert_allclose(rollout.obs[1], stepped.obs, rtol=1e-5, atol=1e-6)


def test_a_rollout_is_seen_through_one_normaliser() -> None:
    """The statistics change with every step, but the log-probabilities must be those of the policy that acted."""
    _, before, after, rollout = recorded(normalize_obs=True)
    assert int(after.actor.normalizer.count) == 40
    np.testing.assert_array_equal(rollout.obs[0], before.envs.worlds.obs)  # no statistics yet, so unchanged
    np.testing.assert_array_equal(rollout.last_obs, after.envs.worlds.obs)
    mean = np.asarray(rollout.obs).reshape(-1, 4).mean(0)
    np.testing.assert_allclose(after.actor.normalizer.mean, mean, rtol=1e-3, atol=1e-6)


def test_blown_up_worlds_reach_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(tiny_config(agent="eapo"))
    healthy = program.training.problem.env.step

    def step(state: envs.State, action: jax.Array) -> envs.State:
        new = healthy(state, action)
        # The fourth digit of the action decides when: it is as good as random.
        digit = jnp.floor(jnp.abs(action[0]) * 1e4) % 10
        return dataclasses.replace(new, reward=jnp.where(digit < 2, jnp.nan, new.reward))

    monkeypatch.setattr(program.training.problem.env, "step", step)
    state, diverged = program.fresh_state(), 0
    for number in (1, 2):
        state, metrics = chunk(program, state, number)
        diverged += int(metrics["safety/diverged"])
        assert metrics["safety/skipped_updates"] == 0
        assert all(np.isfinite(v).all() for k, v in metrics.items() if k.startswith(("env/", "safety/", "agent/")))
    assert diverged > 5
    for leaf in jax.tree.leaves(jax.device_get((state.actor, state.envs))):
        if np.issubdtype(leaf.dtype, np.floating):
            assert np.isfinite(leaf).all()


def test_wrong_settings_are_refused() -> None:
    config = tiny_config(agent="ppo")
    with pytest.raises(
        UserError, match=r"ppo learns from rollouts and has no replay: --updates-per-step must stay 0, not 1"
    ):
        Program(dataclasses.replace(config, updates_per_step=1, batch_size=8, replay_size=400, learning_starts=40))
    none = dict.fromkeys(("updates_per_step", "batch_size", "replay_size", "learning_starts"), 0)
    with pytest.raises(UserError, match=r"dsac_e learns from a replay: --replay-size must be at least 1, not 0"):
        Program(dataclasses.replace(tiny_config(), **none))
    for name in ("normalize_reward", "random_start"):
        with pytest.raises(UserError, match=f"ppo learns from rollouts and has no replay: {flag(name)} must stay off"):
            Program(dataclasses.replace(config, **{name: True}))
    args = dataclasses.replace(config.agent_args, minibatches=7)
    sentence = r"--agent.minibatches 7 must divide the 40 rows of a rollout \(10 steps of 4 worlds\)"
    with pytest.raises(UserError, match=sentence):
        Program(dataclasses.replace(config, agent_args=args))
    args = dataclasses.replace(config.agent_args, rollout_steps=10**9)
    with pytest.raises(UserError, match=r"of 4 worlds are 4000000000 rows, and at most 2147483647 can be counted"):
        Program(dataclasses.replace(config, agent_args=args))
    args = dataclasses.replace(config.agent_args, rollout_steps=4 * 10**8)
    program = Program(dataclasses.replace(config, agent_args=args))
    shapes = program.state_shapes()
    with pytest.raises(UserError, match=r"This run needs .* and .* to give: lower --agent.rollout-steps to \d+ or less"):
        check_memory(program, shapes)

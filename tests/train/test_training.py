"""Training off-policy agents: one row per world and step, nothing non-finite anywhere."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import envs
from tests.runs import tiny_config
from train.problem import make_problem
from train.program import Program
from train.state import TrainState
from train.training import Training

AGENTS = ("dsac_e", "fast_sac_era")
ROOT = jax.random.key(0)


@functools.cache
def shared_program(agent: str) -> Program:
    """One program for many tests: what takes time is its compilation."""
    return Program(tiny_config(agent=agent, learning_starts=42, updates_per_step=3))


def chunk(program: Program, state: TrainState, number: int) -> tuple[TrainState, dict[str, Any]]:
    state, metrics = program.train_chunk(state, number)
    return state, jax.device_get(metrics)


def test_critics_see_what_the_policy_does_not() -> None:
    randomization = envs.Randomization(mass=(0.8, 1.2), obs_noise=0.1, action_delay=1, privileged=True)
    program = Program(tiny_config(randomization=randomization))
    own, privileged = program.training.problem.env.obs_size, program.training.problem.env.privileged_size
    assert (own, privileged) == (4, 4 + program.training.problem.env.model.nbody)
    state, metrics = chunk(program, program.fresh_state(), 1)
    assert np.isfinite(metrics["agent/critic_loss"])
    params = state.actor.agent.params
    widths = {
        name: jax.tree.leaves(getattr(params, name)["params"]["Dense_0"]["kernel"])[0].shape[-2]
        for name in ("policy", "critic", "entropy_critic")
    }
    assert widths == {"policy": own, "critic": own + privileged + 1, "entropy_critic": own + privileged + 1}

    policy = program.training.problem.policy(state.actor)
    seen = {"state": jnp.ones((2, own)), "privileged": jnp.zeros((2, privileged))}
    action = policy(seen)
    np.testing.assert_array_equal(policy(seen | {"privileged": jnp.ones((2, privileged))}), action)
    np.testing.assert_array_equal(policy(jnp.ones((2, own))), action)  # another simulator shows nothing privileged
    assert program.evaluate(ROOT, state.actor, jnp.asarray(0)).returns.shape == (3,)


@pytest.mark.parametrize("agent", AGENTS)
def test_updates_begin_with_the_first_fill(agent: str) -> None:
    program = shared_program(agent)
    state, _ = chunk(program, program.fresh_state(), 1)
    # 42 transitions of 4 worlds are there after 11 of 20 iterations.
    assert int(state.actor.agent.updates) == 3 * 10 == int(state.updates)


def test_replay_holds_what_happened() -> None:
    program = shared_program("dsac_e")
    state = program.fresh_state()
    first = np.asarray(state.envs.worlds.obs)
    state, metrics = chunk(program, state, 1)
    rows = jax.device_get(state.replay.rows)
    assert int(state.replay.size) == program.training.chunk_iterations == 20
    np.testing.assert_array_equal(rows.obs[0], first)
    np.testing.assert_array_equal(rows.valid[1:20], ~rows.done[0:19])
    assert metrics["train/episodes"] == rows.done.sum()
    # Every step of an inverted pendulum but the last of an episode rewards 1.
    np.testing.assert_array_equal(rows.reward[:20], rows.valid[:20] & ~rows.terminated[:20])


def test_the_first_fill_may_be_random() -> None:
    """It may need to be, since a deterministic policy that has learned nothing does nothing."""
    program = Program(tiny_config(agent="td3", random_start=True))
    state, _ = chunk(program, program.fresh_state(), 1)
    action = np.asarray(state.replay.rows.action)[:20, :, 0]  # type: ignore[union-attr]
    filled = 10  # steps of 4 worlds
    assert stats.kstest(action[:filled].ravel(), "uniform", (-1, 2)).pvalue > 1e-3
    assert np.abs(action[:filled]).max() > 0.8
    assert np.abs(action[filled]).max() < 0.6  # the policy's 0, and noise of 0.1
    assert np.abs(action[filled:]).mean() < 0.3  # a uniform action's is 0.5


def test_normalizer_sees_every_observation_once() -> None:
    program = shared_program("fast_sac_era")
    state, _ = chunk(program, program.fresh_state(), 1)
    obs = np.asarray(state.replay.rows.obs[:20]).reshape(-1, 4)
    normalizer = state.actor.normalizer
    assert int(normalizer.count) == 80
    np.testing.assert_allclose(normalizer.mean, obs.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(normalizer.squares / 80), obs.std(0), rtol=1e-4)


def test_normalised_rewards_are_those_of_the_rows_so_far() -> None:
    config = tiny_config(agent="flash_sac", batch_size=32)
    program = Program(config)
    state = program.fresh_state()
    returns, seen = np.zeros(4), []
    state, _ = chunk(program, state, 1)
    rows = jax.device_get(state.replay.rows)
    for t in range(20):
        returns = np.where(rows.valid[t], 0.99 * returns + rows.reward[t], 0)
        seen += returns[rows.valid[t]].tolist()
        returns[rows.done[t]] = 0
    scaler = jax.device_get(state.rewards)
    np.testing.assert_allclose(scaler.returns, returns, rtol=1e-5)
    assert float(scaler.largest) == pytest.approx(max(seen), rel=1e-5)
    assert float(scaler.moments.squares[0] / scaler.moments.count) == pytest.approx(np.var(seen), rel=1e-3)

    # And the agent is given scaled rewards: unscaled, all rewards of an inverted pendulum are 1 or 0.
    def update(agent: Any, batch: Any, key: jax.Array, moves: Any) -> Any:
        return agent, {"skipped": jnp.zeros(()), "reward": batch.reward.max()}

    problem = make_problem(config)
    agent = problem.agent._replace(update=update)  # type: ignore[call-arg,arg-type]
    training = Training(dataclasses.replace(problem, agent=agent))
    after, (_, learned) = jax.jit(training.iteration)(state)
    assert float(learned["reward"].max()) == pytest.approx(float(after.rewards.scale(jnp.ones(()))), rel=1e-5)
    assert float(learned["reward"].max()) < 1


def test_evaluation_leaves_training_alone() -> None:
    """Same seed with and without evaluations in between: the same run."""
    program = shared_program("dsac_e")
    plain, evaluated = program.fresh_state(), program.fresh_state()
    for number in (1, 2):
        plain, _ = chunk(program, plain, number)
        evaluated, _ = chunk(program, evaluated, number)
        first = program.evaluate(ROOT, evaluated.actor, jnp.asarray(number, jnp.int32))
        again = program.evaluate(ROOT, evaluated.actor, jnp.asarray(number, jnp.int32))
        np.testing.assert_array_equal(first.returns, again.returns)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), plain.actor.agent.params, evaluated.actor.agent.params)
    assert all(jax.tree.leaves(same))


def test_seed_decides_everything() -> None:
    program, params = shared_program("dsac_e"), []
    for seed in (0, 0, 1):
        root = jax.random.key(seed)
        state = program.init(root, program.draw_starts(root, jnp.asarray(0, jnp.int32)))
        state = program.begin_chunk(state, program.draw_starts(root, jnp.asarray(1, jnp.int32)))
        state = program.advance(state, 20)
        params.append(np.concatenate([np.ravel(x) for x in jax.tree.leaves(state.actor.agent.params)]))
    np.testing.assert_array_equal(params[0], params[1])
    assert not np.array_equal(params[0], params[2])


PLACES = ("qpos", "obs", "reward")


def fate(action: Any) -> Any:
    """How a world blows up: in one of 4 ways for each of `PLACES`, or not at all.

    The fourth digits of its action decide, which are as good as random.
    """
    return abs(action) * np.float32(1e4) // 1 % 60


@pytest.mark.parametrize("agent", AGENTS)
def test_blown_up_worlds_reach_nothing(monkeypatch: pytest.MonkeyPatch, agent: str) -> None:
    """Worlds blow up now and then, in all ways, and leave no trace in replay, normaliser, parameters or metrics."""
    program = Program(tiny_config(agent=agent))
    healthy = program.training.problem.env.step

    def step(state: envs.State, action: jax.Array) -> envs.State:
        new = healthy(state, action)

        def poison(x: jax.Array, where: str) -> jax.Array:
            for kind, value in enumerate((jnp.nan, jnp.inf, -jnp.inf, 1e30 if where == "qpos" else jnp.nan)):
                x = jnp.where(fate(action[0]) == 4 * PLACES.index(where) + kind, value, x)
            return x

        physics = dataclasses.replace(new.physics, qpos=poison(new.physics.qpos, "qpos"))
        return dataclasses.replace(new, physics=physics, obs=poison(new.obs, "obs"), reward=poison(new.reward, "reward"))

    monkeypatch.setattr(program.training.problem.env, "step", step)
    state = program.fresh_state()
    diverged = 0
    for number in (1, 2):
        state, metrics = chunk(program, state, number)
        diverged += int(metrics["safety/diverged"])
        assert all(np.isfinite(v).all() for k, v in metrics.items() if k.startswith(("env/", "safety/", "agent/")))
    rows = jax.device_get(state.replay.rows)
    fates = fate(rows.action[: int(state.replay.size), :, 0])
    for place in range(len(PLACES)):
        assert (fates // 4 == place).sum() > 5
    assert not rows.valid[: len(fates)][fates < 4 * len(PLACES)].any()
    assert diverged > 15
    assert 0 < int(state.envs.blow_ups.count) <= diverged
    assert int(state.actor.agent.updates) > 20
    for tree in (state.replay.rows, state.actor, state.envs, state.rewards):
        for leaf in jax.tree.leaves(jax.device_get(tree)):
            if np.issubdtype(leaf.dtype, np.floating):
                assert np.isfinite(leaf).all()

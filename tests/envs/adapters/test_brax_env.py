"""Our tasks as Brax environments, under Brax's own wrappers."""

import dataclasses
import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs

pytest.importorskip("brax")


def test_it_steps_as_ours_does() -> None:
    from envs.adapters.brax_env import BraxEnv

    ours = envs.make("hopper", physics="native")
    theirs = BraxEnv(ours)
    assert (theirs.observation_size, theirs.action_size, theirs.backend) == (11, 3, "native")
    key, action = jax.random.key(0), jnp.array([0.1, -0.5, 0.9])
    a, b = jax.jit(ours.reset)(key), jax.jit(theirs.reset)(key)
    our_step, their_step = jax.jit(ours.step), jax.jit(theirs.step)
    for _ in range(5):
        np.testing.assert_array_equal(a.obs, b.obs)
        np.testing.assert_array_equal(a.reward, b.reward)
        assert bool(b.done) == bool(a.terminated)
        a, b = our_step(a, action), their_step(b, action)


def test_it_runs_under_braxs_wrappers() -> None:
    from brax.envs.wrappers.training import EpisodeWrapper, VmapWrapper

    from envs.adapters.brax_env import BraxEnv

    env = VmapWrapper(EpisodeWrapper(BraxEnv(envs.make("inverted_pendulum", physics="native")), 10, 1))
    state = jax.jit(env.reset)(jax.random.split(jax.random.key(0), 4))
    step = jax.jit(env.step)
    for _ in range(10):
        state = step(state, jnp.zeros((4, 1)))
    assert state.obs.shape == (4, 4)
    assert (state.info["truncation"] == 1).all()


@pytest.mark.usefixtures("draws")
def test_it_has_what_braxs_notebooks_use() -> None:
    from envs.adapters.brax_env import BraxEnv

    ours = envs.make("inverted_pendulum", physics="native")
    env = BraxEnv(ours)
    assert env.dt == ours.dt
    with pytest.raises(AttributeError, match="the engine native has no sys"):
        _ = env.sys
    state = jax.jit(env.reset)(jax.random.key(0))
    after = jax.jit(env.step)(state, jnp.ones(1))
    pictures = env.render([state.pipeline_state, after.pipeline_state], height=24, width=32)
    assert [picture.shape for picture in pictures] == [(24, 32, 3)] * 2
    assert env.render(state.pipeline_state, height=24, width=32, camera=-1).shape == (24, 32, 3)
    sys = BraxEnv(envs.make("inverted_pendulum", physics="mjx")).sys
    assert (sys.nq, sys.nu) == (ours.model.nq, ours.model.nu)


SETTINGS: dict[str, dict[str, Any]] = {
    "ppo": {"num_timesteps": 80, "batch_size": 4, "num_minibatches": 2, "unroll_length": 5},
    "sac": {"num_timesteps": 64, "batch_size": 8, "min_replay_size": 16, "max_replay_size": 128},
}
WIDTHS: dict[str, dict[str, Any]] = {
    "ppo": {"policy_hidden_layer_sizes": (8,), "value_hidden_layer_sizes": (8,)},
    "sac": {"hidden_layer_sizes": (8,)},
}


@pytest.mark.slow
@pytest.mark.parametrize("agent", SETTINGS)
def test_braxs_own_trainers_train_on_it(agent: str) -> None:
    """Brax 0.14: they failed because their evaluation found other metrics after a step than after a reset."""
    from brax.envs.wrappers.training import wrap
    from brax.training.acting import Evaluator

    from envs.adapters.brax_env import BraxEnv

    make_networks = getattr(importlib.import_module(f"brax.training.agents.{agent}.networks"), f"make_{agent}_networks")
    train = importlib.import_module(f"brax.training.agents.{agent}.train").train
    first: list[Any] = []

    def tiny(*args: Any, **kwargs: Any) -> Any:
        networks = make_networks(*args, **kwargs, **WIDTHS[agent])
        init = networks.policy_network.init

        def noted(key: jax.Array) -> Any:
            first.append(init(key))
            return first[-1]

        return networks.replace(policy_network=dataclasses.replace(networks.policy_network, init=noted))

    ours = envs.make("inverted_pendulum", physics="native")
    reports: list[dict[str, Any]] = []
    make_policy, params, _ = train(
        environment=BraxEnv(ours),
        episode_length=20,
        num_envs=4,
        num_eval_envs=4,
        num_evals=2,
        learning_rate=0.01,
        network_factory=tiny,
        progress_fn=lambda steps, metrics: reports.append({"steps": steps, **metrics}),
        **SETTINGS[agent],
    )
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - b).max(), params[1], first[0])
    assert min(jax.tree.leaves(moved)) > 0
    assert [report["steps"] > 0 for report in reports] == [False, True]
    for report in reports:
        assert all(np.isfinite(value).all() for value in report.values())
        assert report["eval/episode_reward"] > 0

    # The return that Brax reports is that of our own environment.
    key = jax.random.PRNGKey(7)  # Brax wants keys of the old kind
    policy = make_policy(params, deterministic=True)
    evaluator = Evaluator(wrap(BraxEnv(ours), 20, 1), lambda _: policy, 4, 20, 1, key)
    reported = evaluator.run_evaluation(params, {}, aggregate_episodes=False)["eval/episode_reward"]
    state = jax.jit(jax.vmap(ours.reset))(jax.random.split(jax.random.split(key)[1], 4))
    step, going, total = jax.jit(jax.vmap(ours.step)), np.ones(4, bool), np.zeros(4)
    for _ in range(20):
        state = step(state, policy(state.obs, key)[0])
        total += going * state.reward
        going &= ~np.asarray(state.terminated)
    np.testing.assert_allclose(reported, total, rtol=1e-5)

"""`run_episodes` against a plain Python loop."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs


@dataclasses.dataclass(frozen=True)
class Walk:
    """A walk from a random start. It ends beyond 1; if it starts below 0.1, it blows up on the way."""

    episode_length: int
    name: str = "walk"
    obs_size: int = 1
    action_size: int = 1

    def reset(self, key: jax.Array) -> envs.State:
        x = jax.random.uniform(key)
        return self._state(x, x, jnp.zeros(()))

    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        x = state.physics["x"] + action[0]
        x = jnp.where((state.info["start"] < 0.1) & (x > 0.5), jnp.nan, x)
        return self._state(x, state.info["start"], 2.0 * x)

    def _state(self, x: jax.Array, start: jax.Array, reward: jax.Array) -> envs.State:
        return envs.State(
            physics={"x": x},
            obs=x[None],
            reward=reward,
            terminated=x > 1,
            truncated=jnp.zeros((), bool),
            metrics={},
            info={"start": start},
        )


def policy(obs: jax.Array) -> jax.Array:
    return 0.05 + 0.02 * jnp.sin(obs)


@pytest.mark.parametrize("episode_length", [5, 100])
def test_episodes_equal_a_plain_loop(episode_length: int) -> None:
    env, key, n = Walk(episode_length), jax.random.key(3), 60
    got = jax.jit(lambda k: envs.run_episodes(env, policy, k, n))(key)

    reset, step = jax.jit(env.reset), jax.jit(env.step)
    for i, world_key in enumerate(jax.random.split(key, n)):
        state, total, length, diverged = reset(world_key), 0.0, 0, False
        for _ in range(episode_length):
            state = step(state, policy(state.obs))
            if not np.isfinite(state.reward):
                diverged = True
                break
            total, length = total + float(state.reward), length + 1
            if state.terminated:
                break
        assert got.lengths[i] == length
        assert bool(got.diverged[i]) == diverged
        np.testing.assert_allclose(got.returns[i], total, rtol=1e-5)
    assert got.diverged.any() == (episode_length == 100)
    assert not got.diverged.all()


def test_episodes_start_from_different_states() -> None:
    got = jax.jit(lambda k: envs.run_episodes(Walk(3), policy, k, 50))(jax.random.key(0))
    assert len(np.unique(got.returns)) == 50


def test_native_episodes_end_when_the_body_falls() -> None:
    env = envs.make("hopper", physics="native")
    got = jax.jit(lambda k: envs.run_episodes(env, lambda obs: jnp.zeros((obs.shape[0], 3)), k, 16))(jax.random.key(0))
    assert ((got.lengths > 10) & (got.lengths < 1000)).all()
    assert np.isfinite(got.returns).all()
    assert not got.diverged.any()


def test_an_episode_whose_start_is_bad_has_blown_up() -> None:
    @dataclasses.dataclass(frozen=True)
    class BadStart(Walk):
        def reset(self, key: jax.Array) -> envs.State:
            state = super().reset(key)
            return dataclasses.replace(state, obs=jnp.where(state.obs < 0.5, jnp.inf, state.obs))

    key = jax.random.key(0)
    starts = jax.vmap(Walk(3).reset)(jax.random.split(key, 20)).obs[:, 0]
    # The policy ignores the bad observation, and the state after it is finite again.
    steady = lambda obs: jnp.full(obs.shape, 0.01)  # noqa: E731
    got = jax.jit(lambda k: envs.run_episodes(BadStart(3), steady, k, 20))(key)
    np.testing.assert_array_equal(got.diverged, starts < 0.5)
    assert (np.asarray(got.lengths)[starts < 0.5] == 0).all()
    assert np.isfinite(got.returns).all()

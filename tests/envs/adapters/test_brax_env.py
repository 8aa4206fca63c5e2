"""Our tasks as Brax environments, under Brax's own wrappers."""

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
    for _ in range(5):
        np.testing.assert_array_equal(a.obs, b.obs)
        np.testing.assert_array_equal(a.reward, b.reward)
        assert bool(b.done) == bool(a.terminated)
        a, b = jax.jit(ours.step)(a, action), jax.jit(theirs.step)(b, action)


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

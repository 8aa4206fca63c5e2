"""Our tasks as others' code uses them: Brax's trainers, Gymnasium's vector environments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import envs
from envs.adapters.gymnasium_vector import GymnasiumVectorEnv


def test_braxs_evaluation_wrapper_finds_its_metrics_again() -> None:
    """Brax's own trainers wrap every environment in it: google/brax, brax/envs/wrappers/training.py"""
    pytest.importorskip("brax")
    from brax.envs.wrappers import training

    from envs.adapters.brax_env import BraxEnv

    env = training.EvalWrapper(training.wrap(BraxEnv(envs.make("inverted_pendulum", physics="native")), 20, 1))

    @jax.jit
    def play(key: jax.Array) -> jax.Array:
        state = env.reset(jax.random.split(key, 4))
        state, _ = jax.lax.scan(lambda state, _: (env.step(state, jnp.zeros((4, 1))), None), state, None, 20)
        return state.info["eval_metrics"].episode_metrics["reward"]

    assert (play(jax.random.PRNGKey(0)) > 10).all()  # the wrappers want keys of the old kind


def test_gymnasiums_vector_environment_does_what_is_asked_or_says_why_not() -> None:
    """Farama-Foundation/Gymnasium#1321, #427"""
    vector = GymnasiumVectorEnv(envs.make("inverted_pendulum", physics="native"), 3)
    with pytest.raises(ResetNeeded, match="call reset before the first step"):
        vector.step(np.zeros((3, 1)))
    with pytest.raises(ResetNeeded, match="the first reset must not leave out any world"):
        vector.reset(options={"reset_mask": np.array([True, False, True])})
    obs, _ = vector.reset(seed=0, options={"reset_mask": np.ones(3, bool)})
    arrays = [obs, *vector.step(np.zeros((3, 1)))[:4]]
    assert all(array.flags.writeable for array in arrays)
    with pytest.raises(ValueError, match=r"actions must be float32 of shape \(3, 1\)"):
        vector.step(np.zeros(3))

"""Our tasks as others' code uses them: Brax's trainers, Gymnasium's vector environments."""

import jax
import jax.numpy as jnp
import pytest

import envs


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

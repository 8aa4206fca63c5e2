"""MJX-Warp, on CPU: one step against C MuJoCo, any batch of worlds, and buffers that are too small."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.engines import OVERFLOW, PhysicsState, SolverConfig
from envs.engines.warp import WarpEngine

pytest.importorskip("warp")

WORLDS = 8


@functools.cache
def task() -> envs.MujocoTask:
    return envs.make("half_cheetah", physics="warp")


@pytest.fixture(scope="module")
def drawn(states: Any) -> tuple[envs.State, jax.Array]:
    """Half-cheetahs in random, energetic and fallen states, with actions."""
    state, action = states("half_cheetah")
    state, action = jax.tree.map(lambda x: jnp.asarray(x[:: len(x) // WORLDS][:WORLDS]), (state, action))
    return state, action


def engine_step(engine: WarpEngine, state: PhysicsState, action: jax.Array) -> Any:
    return engine.step(state, action, 5)


def test_one_step_equals_native(drawn: Any) -> None:
    state, action = drawn
    fresh = jax.vmap(task().reset_to)(state.physics.qpos, state.physics.qvel, {})
    assert not fresh.metrics[OVERFLOW].any()
    got = jax.jit(jax.vmap(task().step))(fresh, action)
    native = envs.make("half_cheetah", physics="native")
    expected = jax.jit(jax.vmap(native.step))(jax.vmap(native.reset_to)(state.physics.qpos, state.physics.qvel, {}), action)
    np.testing.assert_allclose(got.physics.qpos, expected.physics.qpos, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(got.physics.qvel, expected.physics.qvel, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(got.obs, expected.obs, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(got.reward, expected.reward, rtol=1e-4, atol=1e-3)
    assert not got.metrics[OVERFLOW].any()


def test_a_world_does_not_depend_on_the_batch_it_is_in(drawn: Any) -> None:
    state, action = drawn
    step = functools.partial(engine_step, task().engine)
    together, _ = jax.jit(jax.vmap(step))(state.physics, action)
    nested, _ = jax.jit(jax.vmap(jax.vmap(step)))(
        *jax.tree.map(lambda x: x.reshape(2, 4, *x.shape[1:]), (state.physics, action))
    )
    alone, _ = jax.jit(step)(*jax.tree.map(lambda x: x[3], (state.physics, action)))
    shared, _ = jax.jit(jax.vmap(step, in_axes=(0, None)))(state.physics, action[3])
    np.testing.assert_array_equal(nested.qpos.reshape(together.qpos.shape), together.qpos)
    np.testing.assert_array_equal(alone.qpos, together.qpos[3])
    np.testing.assert_array_equal(shared.qpos[3], together.qpos[3])


@pytest.mark.parametrize("buffers", [{"max_contacts": 1}, {"max_constraints": 3}])
def test_a_buffer_that_is_too_small_is_reported(drawn: Any, buffers: dict[str, int]) -> None:
    """Some worlds go wrong, and each of those is reported. (A world that is reported need not have gone wrong.)"""
    state, action = drawn
    expected, enough = jax.jit(jax.vmap(functools.partial(engine_step, task().engine)))(state.physics, action)
    assert not enough[OVERFLOW].any()
    small = envs.make("half_cheetah", physics="warp", solver=SolverConfig(**buffers))
    got, derived = jax.jit(jax.vmap(functools.partial(engine_step, small.engine)))(state.physics, action)
    wrong = np.abs(got.qvel - expected.qvel).max(1) > 1e-3
    assert wrong.any()
    assert derived[OVERFLOW][wrong].all()


def test_overflows_are_counted_in_steps_and_in_episodes() -> None:
    env = envs.make("half_cheetah", envs.task("half_cheetah").Args(), "warp", SolverConfig(max_constraints=3))
    env.episode_length = 12  # long enough to land
    worlds = envs.VectorEnv(env, WORLDS, WORLDS)
    state = worlds.reset(worlds.draw_starts(jax.random.key(0)))
    _, stats = jax.jit(
        lambda s: jax.lax.scan(
            lambda s, _: (lambda s, _, stats: (s, stats))(*worlds.step(s, jnp.ones((WORLDS, 6)))), s, length=10
        )
    )(state)
    assert stats.metric_sums[OVERFLOW].sum() > 0
    episodes = jax.jit(lambda key: envs.run_episodes(env, lambda obs: jnp.ones((WORLDS, 6)), key, WORLDS))(jax.random.key(1))
    assert episodes.overflowed.any()


@pytest.mark.parametrize(("backend", "mode"), [("cpu", "JAX"), ("gpu", "WARP")])
def test_on_a_gpu_warp_captures_its_own_graph(backend: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    engine = envs.make("inverted_pendulum", physics="warp").engine
    assert engine._mjx_model.opt._impl.graph_mode.name == mode


def test_contact_forces_are_refused() -> None:
    with pytest.raises(ValueError, match="humanoid-v5 runs on mjx and native: the warp engine does not compute"):
        envs.make("humanoid-v5", physics="warp")

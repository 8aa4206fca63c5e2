"""Domain randomisation: it draws from the declared distributions at every reset, and equals a model changed by hand."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scipy import stats

import envs
from envs import Randomization

EVERYTHING = Randomization(friction=(0.5, 1.5), mass=(0.8, 1.3), actuator_gain=(0.9, 1.1))


def make(name: str, randomization: Randomization, physics: str = "native") -> Any:
    return envs.make(name, physics=physics, randomization=randomization)


def resets(env: Any, n: int, seed: int = 0) -> envs.State:
    return jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(seed), n))


def test_factors_are_drawn_as_declared_for_every_world_and_reset() -> None:
    env = make("hopper", EVERYTHING)
    n = 400
    first, second = resets(env, n), resets(env, n, seed=1)
    for name, (low, high) in (("friction", (0.5, 1.5)), ("mass", (0.8, 1.3)), ("actuator_gain", (0.9, 1.1))):
        drawn, again = np.asarray(first.info["factors"][name]), np.asarray(second.info["factors"][name])
        assert len(np.unique(drawn.reshape(n, -1)[:, 0])) == n
        assert (drawn != again).all()
        assert stats.kstest(drawn.ravel(), stats.uniform(low, high - low).cdf).pvalue > 1e-3
        if drawn.ndim > 1:  # bodies and actuators are drawn independently
            assert np.abs(np.corrcoef(drawn.T) - np.eye(drawn.shape[1])).max() < 0.2


@pytest.mark.parametrize("engine", ["native", "mjx", "warp"])
def test_worlds_step_as_models_that_were_changed_by_hand(engine: str) -> None:
    if engine == "warp":
        pytest.importorskip("warp")
    env = make("half_cheetah", EVERYTHING, engine)
    n = 4
    # MJX steps from native start states: its own reset takes as long to compile as the step.
    state = resets(make("half_cheetah", EVERYTHING) if engine == "mjx" else env, n)
    action = jax.random.uniform(jax.random.key(1), (n, 6), minval=-1.0)
    step = jax.jit(jax.vmap(env.step))
    before, after = state, step(state, action)
    for _ in range(6):  # until they are on the ground
        before, after = after, step(after, action)
    for world in range(n):
        factors = jax.tree.map(lambda x, w=world: np.asarray(x[w], np.float64), state.info["factors"])
        model = env.model.__copy__()
        model.geom_friction[:, 0] *= factors["friction"]
        model.body_mass *= factors["mass"]
        model.body_inertia *= factors["mass"][:, None]
        model.actuator_gainprm *= factors["actuator_gain"][:, None]
        model.actuator_biasprm *= factors["actuator_gain"][:, None]
        model.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
        softness = {name: getattr(model, name).copy() for name in ("body_invweight0", "dof_invweight0", "actuator_acc0")}
        mujoco.mj_setConst(model, mujoco.MjData(model))
        for name, value in softness.items():
            getattr(model, name)[:] = value
        np.testing.assert_allclose(state.info["model"]["body_subtreemass"][world], model.body_subtreemass, rtol=1e-5)
        data = mujoco.MjData(model)
        for name in ("qpos", "qvel", "qacc_warmstart"):
            getattr(data, name)[:] = getattr(before.physics, name)[world]
        data.ctrl[:] = action[world]
        mujoco.mj_step(model, data, nstep=5)
        np.testing.assert_allclose(after.physics.qpos[world], data.qpos, atol=1e-4)
        np.testing.assert_allclose(after.physics.qvel[world], data.qvel, rtol=1e-3, atol=2e-3)
    assert len(np.unique(np.round(np.asarray(after.physics.qpos[:, 1] - before.physics.qpos[:, 1]), 5))) == n


def test_noise_is_on_what_is_observed_and_nowhere_else() -> None:
    env = make("hopper", Randomization(obs_noise=0.3))
    n = 300
    state = resets(env, n)
    true = jax.vmap(lambda p: env.task.observe(p, {}, {}))
    action = jnp.zeros((n, 3))
    after = jax.jit(jax.vmap(env.step))(state, action)
    for s in (state, after):
        noise = np.asarray(s.obs - true(s.physics))
        assert stats.kstest(noise.ravel(), stats.norm(0, 0.3).cdf).pvalue > 1e-3
    assert (
        np.abs(np.corrcoef(np.ravel(state.obs - true(state.physics)), np.ravel(after.obs - true(after.physics)))[0, 1]) < 0.1
    )
    clean = envs.make("hopper", physics="native")
    same = jax.jit(jax.vmap(clean.step))(jax.vmap(clean.reset_to)(state.physics.qpos, state.physics.qvel, {}), action)
    np.testing.assert_array_equal(after.physics.qpos, same.physics.qpos)
    np.testing.assert_array_equal(after.reward, same.reward)


def test_pushes_change_horizontal_velocities_at_the_declared_rate() -> None:
    env = make("ant", Randomization(push_speed=3.0, push_interval=0.25))
    n = 500
    state = resets(env, n)
    pushed = jax.jit(jax.vmap(env.step))(state, jnp.zeros((n, 8)))
    still = envs.make("ant", physics="native")
    expected = jax.jit(jax.vmap(still.step))(
        jax.vmap(still.reset_to)(state.physics.qpos, state.physics.qvel, {}), jnp.zeros((n, 8))
    )
    change = np.asarray(pushed.physics.qvel - expected.physics.qvel)[:, :2]
    hit = np.abs(change).max(1) > 1e-6
    assert stats.binomtest(int(hit.sum()), n, env.dt / 0.25).pvalue > 1e-3
    assert np.abs(change).max() < 3.1
    assert stats.kstest(change[hit].ravel(), stats.uniform(-3, 6).cdf).pvalue > 1e-3


def test_actions_arrive_late_by_what_the_episode_drew() -> None:
    env = make("inverted_pendulum", Randomization(action_delay=3))
    n = 200
    state = resets(env, n)
    delay = np.asarray(state.info["delay"])
    assert stats.chisquare(np.bincount(delay, minlength=4)).pvalue > 1e-3
    actions = jax.random.uniform(jax.random.key(1), (6, n, 1), minval=-1.0)
    clean = envs.make("inverted_pendulum", physics="native")
    expected = jax.vmap(clean.reset_to)(state.physics.qpos, state.physics.qvel, {})
    step, clean_step = jax.jit(jax.vmap(env.step)), jax.jit(jax.vmap(clean.step))
    for t in range(6):
        state = step(state, actions[t])
        late = np.where(t - delay >= 0, np.asarray(actions)[t - delay, np.arange(n), 0], 0.0)
        expected = clean_step(expected, jnp.asarray(late)[:, None])
        np.testing.assert_array_equal(state.physics.qpos, expected.physics.qpos)


def test_the_privileged_observation_holds_the_truth() -> None:
    env = make("hopper", dataclasses.replace(EVERYTHING, obs_noise=0.5, privileged=True))
    state = resets(env, 3)
    factors = state.info["factors"]
    assert env.obs_size == 11
    assert env.privileged_size == 11 + 1 + env.model.nbody + 3 == state.obs["privileged"].shape[1]
    np.testing.assert_array_equal(
        state.obs["privileged"][:, :11], jax.vmap(lambda p: env.task.observe(p, {}, {}))(state.physics)
    )
    np.testing.assert_array_equal(state.obs["privileged"][:, 11], factors["friction"])
    np.testing.assert_array_equal(state.obs["privileged"][:, 12:-3], factors["mass"])
    np.testing.assert_array_equal(state.obs["privileged"][:, -3:], factors["actuator_gain"])
    assert np.abs(state.obs["state"] - state.obs["privileged"][:, :11]).max() > 0.1


def test_many_worlds_of_it_run_and_start_anew() -> None:
    env = make("hopper", dataclasses.replace(EVERYTHING, obs_noise=0.1, push_speed=1.0, action_delay=2))
    worlds = envs.VectorEnv(env, 16, 256)
    state = worlds.reset(jax.jit(worlds.draw_starts)(jax.random.key(0)))
    before = state.worlds.info["factors"]["mass"]

    def step(state: Any, key: jax.Array) -> Any:
        state, row, stats = worlds.step(state, jax.random.uniform(key, (16, 3), minval=-1.0))
        return state, (row.done, stats.diverged)

    state, (done, diverged) = jax.jit(lambda s: jax.lax.scan(step, s, jax.random.split(jax.random.key(1), 150)))(state)
    assert diverged.sum() == 0
    ended = np.asarray(done).any(0)
    assert ended.sum() > 8
    changed = (np.asarray(before) != np.asarray(state.worlds.info["factors"]["mass"])).all(1)
    np.testing.assert_array_equal(changed, ended)


def test_a_body_that_cannot_be_pushed_says_so() -> None:
    with pytest.raises(ValueError, match="reacher has no body that --randomize"):
        make("reacher", Randomization(push_speed=1.0))

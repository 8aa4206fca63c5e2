"""What all tasks of the DeepMind Control Suite share: start states, the repeated action, engines, names."""

import dataclasses
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import envs
from tests.runs import long_but

STARTS = (
    "dmc/humanoid-run",
    "dmc/dog-run",
    "dmc/acrobot-swingup",
    "dmc/ball_in_cup-catch",
    "dmc/cartpole-balance",
    "dmc/cartpole-three_poles",
    "dmc/cheetah-run",
    "dmc/finger-turn_hard",
    "dmc/fish-swim",
    "dmc/hopper-hop",
    "dmc/point_mass-hard",
    "dmc/quadruped-walk",
    "dmc/reacher-easy",
    "dmc/swimmer-swimmer6",
)


@pytest.mark.parametrize("name", STARTS)
def test_start_states_are_distributed_as_dm_controls(name: str, task: Any, dm_control_task: Any) -> None:
    reference, task, n = dm_control_task(name), task(name), 200
    drawn = jax.device_get(jax.jit(jax.vmap(task.reset))(jax.random.split(jax.random.key(0), n)))
    assert not drawn.physics.time.any()
    assert not drawn.reward.any()
    fields = drawn.info.get("model", {})
    physics = drawn.physics
    ours = np.concatenate(
        [physics.qpos, physics.qvel, physics.act, *(value.reshape(n, -1) for value in fields.values())], axis=1
    )
    theirs = np.empty_like(ours)
    for start in theirs:
        reference.env.reset()
        data, model = reference.physics.data, reference.physics.model
        start[:] = np.concatenate([data.qpos, data.qvel, data.act, *(np.ravel(getattr(model, name)) for name in fields)])
    varies = theirs.std(0) > 1e-6
    np.testing.assert_allclose(ours[:, ~varies], theirs[:, ~varies], rtol=1e-5, atol=1e-5)
    for value, expected in zip(ours[:, varies].T, theirs[:, varies].T, strict=True):
        # With 1e-6, all of some 300 such tests pass with all but one seed in three thousand; and the seed is fixed.
        assert stats.ks_2samp(value, expected).pvalue > 1e-6
        assert len(np.unique(value)) > n / 10
    difference = np.corrcoef(ours[:, varies].T) - np.corrcoef(theirs[:, varies].T)
    assert np.abs(difference).max() < 0.5


@pytest.mark.parametrize("name", ["dmc/humanoid-run", "dmc/ball_in_cup-catch", "dmc/finger-spin", "dmc/quadruped-walk"])
def test_nothing_touches_at_the_start(name: str, task: Any) -> None:
    task = task(name)
    qpos, _, _ = jax.jit(jax.vmap(task.reset_pose))(jax.random.split(jax.random.key(1), 64))
    assert not jax.vmap(task.touches)(qpos).any()


@pytest.mark.parametrize("name", list(envs.DMC_TASKS))
def test_a_state_keeps_its_structure_and_types(name: str, task: Any) -> None:
    """Otherwise ``scan`` would refuse it, and everything would be compiled a second time."""
    task = task(name)
    first = jax.eval_shape(task.reset, jax.random.key(0))
    second = jax.eval_shape(task.step, first, jnp.zeros(task.action_size))
    assert jax.tree.structure(first) == jax.tree.structure(second)
    assert jax.tree.leaves(first) == jax.tree.leaves(second)
    assert envs.task(name).name == name
    assert task.model.cam(task.camera).name


def test_a_repeated_action_earns_the_sum_of_its_steps(task: Any) -> None:
    name = "dmc/cartpole-swingup"
    once, thrice = task(name), envs.make(name, envs.task(name).Args(action_repeat=3), physics="native")
    assert (thrice.episode_length, thrice.dt) == (333, pytest.approx(3 * once.dt))
    state = expected = jax.jit(once.reset)(jax.random.key(0))
    step, repeat, action = jax.jit(once.step), jax.jit(thrice.step), jnp.array([0.7])
    for _ in range(2):
        state, total = repeat(state, action), 0.0
        for _ in range(3):
            expected = step(expected, action)
            total += expected.reward
        np.testing.assert_allclose(state.reward, total, rtol=1e-6)
        np.testing.assert_allclose(state.metrics["reward"], total, rtol=1e-6)
        np.testing.assert_array_equal(state.obs, expected.obs)


@pytest.mark.parametrize("bad", [0, -1, 1001])
def test_an_action_is_repeated_at_least_once_and_not_beyond_the_episode(bad: int) -> None:
    with pytest.raises(ValueError, match=f"env.action_repeat must be 1 to 1000, not {bad}"):
        envs.task("dmc/cartpole-swingup").Args(action_repeat=bad)


@pytest.mark.parametrize(
    "name", long_but(("dmc/pendulum-swingup",), ("dmc/cartpole-swingup", "dmc/pendulum-swingup", "dmc/reacher-easy"))
)
def test_mjx_equals_native(name: str, task: Any, states: Any) -> None:
    native, mjx = task(name), envs.make(name, physics="mjx")
    drawn, action = jax.tree.map(lambda x: jnp.asarray(x[::4]), states(name))
    _, _, info = jax.vmap(native.reset_pose)(jax.random.split(jax.random.key(2), len(action)))
    drawn = dataclasses.replace(drawn, info=info)
    expected, got = (jax.jit(jax.vmap(engine.step))(drawn, action) for engine in (native, mjx))
    np.testing.assert_allclose(got.physics.qvel, expected.physics.qvel, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got.obs, expected.obs, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got.reward, expected.reward, rtol=1e-4, atol=1e-5)


def test_the_dog_is_refused_by_mjx_with_the_reason(dm_control_task: Any) -> None:
    with pytest.raises(ValueError, match=r"dmc/dog-run runs on warp and native: the mjx engine .*ELLIPSOID.*BOX"):
        envs.make("dmc/dog-run", physics="mjx")


def test_a_field_in_which_worlds_cannot_differ_on_mjx_is_named(dm_control_task: Any) -> None:
    with pytest.raises(
        ValueError, match=r"on the mjx engine worlds cannot differ in mjModel\.wrap_prm, on the native one they can"
    ):
        envs.make("dmc/point_mass-hard", physics="mjx")


def test_without_dm_control_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dm_control.suite.cartpole", None)
    with pytest.raises(ValueError, match=r"dmc/cartpole-balance needs dm_control, .*: pip install 'mjx-tecrl\[dmc\]'"):
        envs.make("dmc/cartpole-balance")


def test_a_task_has_no_equal_in_gymnasium(task: Any) -> None:
    with pytest.raises(ValueError, match="dmc/cartpole-balance has no equal in Gymnasium"):
        task("dmc/cartpole-balance").make_gymnasium()


def test_a_misspelt_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean .*dmc/humanoid-walk"):
        envs.task("dmc/humanoid-wlak")


def test_making_a_task_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    envs.make("dmc/cheetah-run")
    assert capfd.readouterr() == ("", "")

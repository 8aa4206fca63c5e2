"""The native engine: results depend on the arguments alone, whatever else runs and however the worlds are batched."""

import dataclasses
import threading
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import mujoco.batch
import numpy as np
import pytest

import envs
from envs.engines import Derived, NativeEngine, PhysicsState

WORLDS = 12


@pytest.fixture(scope="module")
def env() -> envs.MujocoTask:
    return envs.make("humanoid", physics="native")


@pytest.fixture(scope="module")
def moved(env: envs.MujocoTask) -> tuple[PhysicsState, jax.Array]:
    """Humanoids on their way to the floor, and controls for them."""
    step = jax.jit(jax.vmap(env.step))
    state = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), WORLDS))
    for key in jax.random.split(jax.random.key(1), 40):
        state = step(state, jax.random.uniform(key, (WORLDS, 17), minval=-1.0))
    return state.physics, jax.random.uniform(jax.random.key(2), (WORLDS, 17), minval=-0.4, maxval=0.4)


def step(env: envs.MujocoTask, state: PhysicsState, ctrl: jax.Array) -> tuple[PhysicsState, Derived]:
    return jax.jit(jax.vmap(lambda s, c: env.engine.step(s, c, 5)))(state, ctrl)


def assert_identical(got: Any, expected: Any) -> None:
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def take(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda x: x[index], tree)


def test_a_world_does_not_depend_on_the_batch_it_is_in(env: envs.MujocoTask, moved: Any) -> None:
    together = step(env, *moved)
    order = np.random.default_rng(0).permutation(WORLDS)
    assert_identical(step(env, *take(moved, order)), take(together, order))
    assert_identical(step(env, *take(moved, slice(3))), take(together, slice(3)))
    alone = jax.jit(lambda s, c: env.engine.step(s, c, 5))(*take(moved, 4))  # no vmap at all
    assert_identical(alone, take(together, 4))


def test_a_call_does_not_depend_on_the_calls_before(env: envs.MujocoTask, moved: Any) -> None:
    first = step(env, *moved)
    step(env, *take(moved, np.arange(WORLDS)[::-1]))
    jax.vmap(env.reset)(jax.random.split(jax.random.key(5), WORLDS))
    assert_identical(step(env, *moved), first)


def test_an_accelerator_gets_the_same_numbers(env: envs.MujocoTask, moved: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = step(env, *moved)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert_identical(step(env, *moved), expected)


def test_nested_vmap_is_a_flat_batch(env: envs.MujocoTask, moved: Any) -> None:
    flat = step(env, *moved)
    nested = jax.tree.map(lambda x: x.reshape(3, 4, *x.shape[1:]), moved)
    got = jax.jit(jax.vmap(jax.vmap(lambda s, c: env.engine.step(s, c, 5))))(*nested)
    assert_identical(jax.tree.map(lambda x: x.reshape(WORLDS, *x.shape[2:]), got), flat)

    state, derived = jax.vmap(jax.vmap(env.engine.init))(nested[0].qpos, nested[0].qvel)
    assert state.qpos.shape == (3, 4, 24)
    assert derived["xipos"].shape == (3, 4, 14, 3)


def test_a_shared_control_is_broadcast(env: envs.MujocoTask, moved: Any) -> None:
    state, ctrl = moved
    got = jax.jit(jax.vmap(lambda s, c: env.engine.step(s, c, 5), in_axes=(0, None)))(state, ctrl[0])
    assert_identical(got, step(env, state, jnp.broadcast_to(ctrl[0], ctrl.shape)))


def test_a_step_is_mj_step(env: envs.MujocoTask, moved: Any) -> None:
    got, derived = step(env, *moved)
    model = env.engine.model
    for world in range(WORLDS):
        state, ctrl = take(moved, world)
        data = mujoco.MjData(model)
        for name in ("qpos", "qvel", "qacc_warmstart"):
            getattr(data, name)[:] = getattr(state, name)
        data.ctrl[:] = ctrl
        mujoco.mj_step(model, data, nstep=5)
        np.testing.assert_array_equal(got.qpos[world], data.qpos.astype(np.float32))
        np.testing.assert_array_equal(got.qvel[world], data.qvel.astype(np.float32))
        np.testing.assert_array_equal(got.qacc_warmstart[world], data.qacc_warmstart.astype(np.float32))
        np.testing.assert_allclose(got.time[world], state.time + 5 * model.opt.timestep, rtol=1e-6)
        for name, value in derived.items():
            np.testing.assert_array_equal(value[world], getattr(data, name).astype(np.float32))


@pytest.mark.parametrize("field", ["qpos", "qvel", "ctrl"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_world_that_blows_up_is_not_a_number_and_the_others_do_not_notice(
    env: envs.MujocoTask, moved: Any, field: str, poison: float
) -> None:
    clean = step(env, *moved)
    state, ctrl = moved
    if field == "ctrl":
        ctrl = ctrl.at[7, 2].set(poison)
    else:
        state = dataclasses.replace(state, **{field: getattr(state, field).at[7, 3].set(poison)})
    got = step(env, state, ctrl)
    assert not np.isfinite(got[0].qpos[7]).all()
    others = np.delete(np.arange(WORLDS), 7)
    assert_identical(take(got, others), take(clean, others))


def test_a_position_that_is_huge_does_not_come_back_as_if_nothing_had_happened(env: envs.MujocoTask, moved: Any) -> None:
    state, ctrl = moved
    state = dataclasses.replace(state, qpos=state.qpos.at[7].set(1e30))
    got, _ = step(env, state, ctrl)
    assert not (np.abs(got.qpos[7]) < 1e10).all()


def test_a_world_in_which_mujoco_raises_is_not_a_number(
    env: envs.MujocoTask, moved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = step(env, *moved)
    original = mujoco.batch.Batch.step

    def raising(batch: mujoco.batch.Batch, **kwargs: Any) -> None:
        original(batch, **kwargs)
        raise mujoco.batch.SimulationError(np.array([2, 5]), "stack overflow")

    monkeypatch.setattr(mujoco.batch.Batch, "step", raising)
    got = step(env, *moved)
    assert np.isnan(got[0].qpos[np.array([2, 5])]).all()
    others = np.delete(np.arange(WORLDS), [2, 5])
    assert_identical(take(got, others), take(clean, others))


def test_worlds_that_blow_up_print_nothing_and_leave_no_log(
    env: envs.MujocoTask, moved: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    state, ctrl = moved
    jax.block_until_ready(step(env, dataclasses.replace(state, qpos=state.qpos * np.nan), ctrl))
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    assert mujoco.MjLogConfig.get().logto_file  # for other users of MuJoCo in this process the log is on again


def test_the_callers_model_keeps_its_automatic_reset() -> None:
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    engine = NativeEngine(model, ())
    assert model.opt.disableflags == 0
    assert engine.model.opt.disableflags == mujoco.mjtDisableBit.mjDSBL_AUTORESET


def test_contact_forces_are_those_of_mujoco(moved: Any) -> None:
    env = envs.make("humanoid-v5", physics="native")
    _, derived = step(env, *moved)
    model = env.engine.model
    for world in range(WORLDS):
        state, ctrl = take(moved, world)
        data = mujoco.MjData(model)
        data.qpos, data.qvel, data.qacc_warmstart, data.ctrl = state.qpos, state.qvel, state.qacc_warmstart, ctrl
        mujoco.mj_step(model, data, nstep=5)
        mujoco.mj_rnePostConstraint(model, data)
        np.testing.assert_array_equal(derived["cfrc_ext"][world], data.cfrc_ext.astype(np.float32))
    assert np.abs(derived["cfrc_ext"]).max() > 100


def test_a_field_that_mujoco_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the native engine cannot read mjData\.qops"):
        NativeEngine(mujoco.MjModel.from_xml_string("<mujoco/>"), ("qops",))


def test_thousands_of_worlds_step_inside_jit_and_scan() -> None:
    env = envs.make("hopper", physics="native")

    def rollout(key: jax.Array) -> envs.State:
        key_start, key_actions = jax.random.split(key)
        state = jax.vmap(env.reset)(jax.random.split(key_start, 4096))
        actions = jax.random.uniform(key_actions, (5, 4096, 3), minval=-1.0)
        return jax.lax.scan(lambda s, a: (jax.vmap(env.step)(s, a), None), state, actions)[0]

    state = jax.jit(rollout)(jax.random.key(0))
    np.testing.assert_allclose(state.physics.time, 5 * env.dt, rtol=1e-5)
    assert np.isfinite(state.obs).all()


def test_engines_in_several_threads_do_not_disturb_each_other(env: envs.MujocoTask, moved: Any) -> None:
    expected, got = step(env, *moved), {}

    def work(name: int) -> None:
        own = envs.make("humanoid", physics="native") if name else env
        for _ in range(3):
            got[name] = jax.block_until_ready(step(own, *moved))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in got.values():
        assert_identical(result, expected)
    assert mujoco.MjLogConfig.get().logto_console

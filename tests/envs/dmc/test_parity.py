"""Every task of the DeepMind Control Suite against dm_control itself: the same states and actions, the same outcome.

dm_control carries float64 from step to step and we carry float32, so the first step differs by the rounding of what is
returned, and later ones by what the dynamics make of the rounding of the state.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

import envs

STEPS = 3
TOLERANCE = [(1e-5, 1e-6), (1e-3, 2e-4), (1e-2, 1e-3)]
"""Tolerances after one, two and three steps: relative, and absolute in units of the largest entry of the observation."""


@pytest.mark.parametrize("name", list(envs.DMC_TASKS))
def test_steps_equal_dm_controls(name: str, task: Any, states: Any, dm_control_task: Any) -> None:
    reference, task = dm_control_task(name), task(name)
    drawn, action = states(name)
    assert len(action) >= 200
    actions = np.stack([np.roll(action, shift, axis=0) for shift in range(STEPS)])  # [steps, n, action_size]

    def rollout(key: jax.Array, physics: envs.PhysicsState, actions: jax.Array) -> tuple[envs.State, envs.State]:
        _, _, info = task.reset_pose(key)
        first = task.reset_to(physics.qpos, physics.qvel, info)
        active = dataclasses.replace(first.physics, act=physics.act)
        active = dataclasses.replace(first, physics=active)
        return first, jax.lax.scan(lambda state, action: (task.step(state, action),) * 2, active, actions)[1]

    keys = jax.random.split(jax.random.key(1), len(action))
    first, ours = jax.device_get(jax.jit(jax.vmap(rollout, in_axes=(0, 0, 1)))(keys, drawn.physics, actions))

    for world in range(len(action)):
        begun = jax.tree.map(lambda x, w=world: x[w], first)
        expected = reference.reset_to(begun.physics, begun.info.get("model", {}))
        np.testing.assert_allclose(begun.obs, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
        if task.model.na:
            reference.physics.data.act[:] = drawn.physics.act[world]
        for t in range(STEPS):
            obs, reward, _, terminated = reference.step(actions[t, world])
            rtol, atol = TOLERANCE[t]
            np.testing.assert_allclose(ours.obs[world, t], obs, rtol=rtol, atol=atol * np.abs(obs).max())
            np.testing.assert_allclose(ours.reward[world, t], reward, rtol=rtol, atol=atol)
            assert not terminated
            assert not ours.terminated[world, t]


@pytest.mark.parametrize("name", list(envs.DMC_TASKS))
def test_models_sizes_and_times_equal_dm_controls(name: str, task: Any, dm_control_task: Any) -> None:
    """Our model is loaded in another way (`settotalmass` of the cheetah), but has to be the same to the last bit."""
    reference, task = dm_control_task(name), task(name)
    ours, theirs = task.engine.model, reference.physics.model.ptr
    own = {"geom_pos", "site_pos", "light_pos", "geom_rgba", "site_rgba", "wrap_prm"}  # drawn anew for each episode
    for field in set(dir(theirs)) - own:
        value = getattr(theirs, field)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(ours, field), value, err_msg=field)
    for field in ("timestep", "integrator", "solver", "iterations", "ls_iterations", "tolerance", "gravity", "cone"):
        np.testing.assert_array_equal(getattr(ours.opt, field), getattr(theirs.opt, field), err_msg=field)
    assert task.dt == pytest.approx(reference.env.control_timestep())
    assert task.episode_length == reference.env._step_limit
    assert task.mjx_iterations == (theirs.opt.iterations, theirs.opt.ls_iterations)
    assert task.action_size == reference.env.action_spec().shape[0]


NEAR_THE_GOAL: dict[str, tuple[list[float] | None, float, float]] = {
    "dmc/acrobot-swingup_sparse": ([0.0, 0.0], 0.2, 0.0),
    "dmc/ball_in_cup-catch": ([0.0, 0.0, 0.0, 0.35], 0.03, 0.0),
    "dmc/cartpole-swingup_sparse": ([0.0, 0.0], 0.2, 0.0),
    "dmc/finger-spin": (None, 0.0, -15.0),
    "dmc/finger-turn_easy": (None, 0.0, 0.0),
    "dmc/finger-turn_hard": (None, 0.0, 0.0),
    "dmc/hopper-stand": ([0.0] * 7, 1.0, 0.0),
    "dmc/hopper-hop": ([0.0] * 7, 0.1, 2.0),
    "dmc/pendulum-swingup": ([0.0], 0.3, 0.0),
    "dmc/point_mass-hard": ([0.0, 0.0], 0.02, 0.0),
    "dmc/reacher-easy": (None, 0.0, 0.0),
    "dmc/reacher-hard": (None, 0.0, 0.0),
}
"""Tasks whose reward is 0 in most states, with positions where it is not (None: those of the start), their spread, and the
mean velocity."""


@pytest.mark.parametrize("name", list(NEAR_THE_GOAL))
def test_rewards_near_the_goal_equal_dm_controls(name: str, task: Any, dm_control_task: Any) -> None:
    reference, task, n = dm_control_task(name), task(name), 300
    centre, spread, velocity = NEAR_THE_GOAL[name]
    rng = np.random.default_rng(0)
    qpos, qvel, info = jax.device_get(jax.jit(jax.vmap(task.reset_pose))(jax.random.split(jax.random.key(4), n)))
    if centre is not None:
        qpos = np.float32(centre + spread * rng.uniform(-1, 1, qpos.shape))
    qvel = np.float32(velocity * rng.uniform(0, 2, qvel.shape))
    action = np.float32(rng.uniform(-0.3, 0.3, (n, task.action_size)))
    first = jax.jit(jax.vmap(task.reset_to))(qpos, qvel, info)
    after = jax.device_get(jax.jit(jax.vmap(task.step))(first, action))
    first, expected = jax.device_get(first), np.empty(n)
    for world in range(n):
        begun = jax.tree.map(lambda x, w=world: x[w], first)
        reference.reset_to(begun.physics, begun.info.get("model", {}))
        expected[world] = reference.step(action[world]).reward
    np.testing.assert_allclose(after.reward, expected, rtol=1e-5, atol=1e-6)
    assert (expected > 0.01).sum() >= 3
    assert (expected < 0.5).sum() >= 3

"""What all tasks share: arguments out of range, the healthy range, the scaling of actions."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.tasks.mujoco_task import within


@pytest.mark.parametrize("name", list(envs.TASKS))
def test_noise_must_not_be_negative(name: str) -> None:
    with pytest.raises(ValueError, match=r"reset_noise_scale must not be negative, not -0\.1"):
        envs.task(name).Args(reset_noise_scale=-0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_must_be_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="ctrl_cost_weight must be finite"):
        envs.task("hopper").Args(ctrl_cost_weight=bad)


@pytest.mark.parametrize("bad", [(2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)])
def test_ranges_must_increase(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="healthy_z_range must be an increasing pair"):
        envs.task("hopper").Args(healthy_z_range=bad)


@pytest.mark.parametrize("name", list(envs.TASKS))
def test_every_argument_says_what_it_is_and_is_gymnasiums(name: str, gymnasium_task) -> None:
    task = envs.make(name, physics="native")
    assert set(task.gymnasium_kwargs) == {field.name for field in dataclasses.fields(task.Args)}
    gymnasium_task(task)  # takes them all


def test_the_healthy_range_is_open_and_excludes_nan() -> None:
    bounds = (1.0, 2.0)
    assert [bool(within(jnp.float32(x), bounds)) for x in (0.9, 1.0, 1.5, 2.0, jnp.nan)] == [0, 0, 1, 0, 0]
    assert not within(jnp.array([1.5, jnp.nan]), bounds)
    assert within(jnp.array([1.5, 1.2]), bounds)


@pytest.mark.parametrize("name", ["hopper", "humanoid", "inverted_pendulum", "inverted_double_pendulum"])
def test_a_state_that_is_not_a_number_is_not_healthy(name: str) -> None:
    task = envs.make(name, physics="native")
    state = jax.jit(task.reset)(jax.random.key(0))
    physics = dataclasses.replace(state.physics, qpos=state.physics.qpos * jnp.nan)
    after = jax.jit(task.step)(dataclasses.replace(state, physics=physics), jnp.zeros(task.action_size))
    assert after.terminated


def test_actions_span_the_range_of_the_actuators() -> None:
    task = envs.make("humanoid", physics="native")
    state = jax.jit(task.reset)(jax.random.key(0))
    step = jax.jit(task.step)
    for scale in (-1.0, 0.0, 0.5, 1.0):
        after = step(state, jnp.full(17, scale))
        np.testing.assert_allclose(after.metrics["reward_ctrl"], -0.1 * 17 * (0.4 * scale) ** 2, rtol=1e-5)

"""Compiled chunks of a run, with and without their gradient steps and their physics."""

import dataclasses
from collections.abc import Callable
from unittest import mock

import jax
import jax.numpy as jnp

import envs
from envs.physics import Derived, ModelFields, Physics, PhysicsState
from envs.physics.base import NO_FIELDS
from train.config import Config
from train.learner import Learner


def chunk_program(config: Config, steps: int, learns: bool = True) -> Callable[[], None]:
    """Compiles a chunk of a run: steps of all worlds with their gradient steps, or without, before the first of those."""
    learning_starts = config.batch_size if learns else config.replay_size - 1
    config = dataclasses.replace(config, log_steps=steps * config.num_envs, learning_starts=learning_starts)
    learner = Learner(config.validate())
    pool = learner.draw_pool(learner.root, jnp.zeros((), jnp.int32))
    state = learner.init(learner.root, pool)

    def chunk() -> None:
        nonlocal state
        state, _ = learner.train_chunk(state, pool)
        jax.block_until_ready(state)

    chunk()  # compiles
    while int(state.vector_steps) * config.num_envs < config.batch_size:
        chunk()
    return chunk


def collecting_programs(config: Config, steps: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Compiles steps of all worlds without gradient steps, and the same in worlds that stand still."""

    def stand_still(
        self: Physics, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        _, derived = jax.eval_shape(self.init, state.qpos, state.qvel, fields)
        return state, {name: jnp.zeros(x.shape) for name, x in derived.items()}

    moving = chunk_program(config, steps, learns=False)
    with mock.patch.object(type(envs.make(config.env, physics=config.physics).physics), "step", stand_still):
        return moving, chunk_program(config, steps, learns=False)

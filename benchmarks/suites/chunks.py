"""Compiled pieces of a run: whole chunks, and collection alone."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs.engines import Derived, Engine, ModelFields, PhysicsState
from envs.engines.base import NO_FIELDS
from mjx_tecrl.replay import insert
from train.collect import step_worlds
from train.config import Config
from train.problem import Problem, make_problem
from train.program import Program
from train.state import TrainState
from train.training import Training


def chunk_program(config: Config, steps: int) -> Callable[[], None]:
    """Compiles a chunk of a run: steps of all worlds with their gradient steps."""
    config = dataclasses.replace(config, log_steps=steps * config.num_envs, learning_starts=config.batch_size)
    program = Program(config.validate())
    state = program.fresh_state()

    def chunk() -> None:
        nonlocal state
        state, _ = program.train_chunk(state, 1)
        jax.block_until_ready(state)

    chunk()  # compiles
    while not int(state.updates):
        chunk()
    return chunk


def collecting_programs(config: Config, steps: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Compiles steps of all worlds with their rows written to the replay, and the same in worlds that stand still."""
    problem = make_problem(config.validate())
    env: Any = copy.copy(problem.env)
    env.engine = StandingStill(env.engine)
    return collecting_program(problem, steps), collecting_program(dataclasses.replace(problem, env=env), steps)


def collecting_program(problem: Problem, steps: int) -> Callable[[], None]:
    """Compiles steps of all worlds: acting, physics, observation statistics, and writing the rows to the replay."""
    training = Training(problem)

    def collect(state: TrainState) -> TrainState:
        def step(_: int, state: TrainState) -> TrainState:
            state, row, _, _ = step_worlds(problem, training.worlds, state, state.actor.normalizer)
            return dataclasses.replace(state, replay=insert(state.replay, row))  # type: ignore[arg-type]

        return jax.lax.fori_loop(0, steps, step, state)

    compiled = jax.jit(collect, donate_argnums=0)
    root = jax.random.key(0)
    state = jax.jit(training.init)(root, jax.jit(training.draw_starts)(root, jnp.zeros((), jnp.int32)))

    def run() -> None:
        nonlocal state
        state = jax.block_until_ready(compiled(state))

    run()  # compiles
    return run


class StandingStill:
    """An engine in which nothing moves, so that a step costs everything except the physics."""

    def __init__(self, engine: Engine):
        self.model = engine.model
        self.init = engine.init

    def step(
        self, state: PhysicsState, ctrl: jax.Array, n_substeps: int, fields: ModelFields = NO_FIELDS
    ) -> tuple[PhysicsState, Derived]:
        """The same state, and zeros for what a task reads."""
        _, derived = jax.eval_shape(self.init, state.qpos, state.qvel, fields)
        return state, {name: jnp.zeros(x.shape) for name, x in derived.items()}

"""Compiled pieces of a run: whole chunks, and collection alone."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from envs import VectorEnv
from envs.engines import Derived, Engine, ModelFields, PhysicsState
from envs.engines.base import NO_FIELDS
from train.collect import collect, empty_row
from train.config import Config
from train.problem import Actor, Problem, make_problem
from train.program import Program


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
    """Compiles steps of all worlds by an untrained policy, and the same in worlds that stand still."""
    problem = make_problem(config.validate())
    env: Any = copy.copy(problem.env)
    env.engine = StandingStill(env.engine)
    return collecting_program(problem, steps), collecting_program(dataclasses.replace(problem, env=env), steps)


def collecting_program(problem: Problem, steps: int) -> Callable[[], None]:
    """Compiles `train.collect.collect` alone, so many times in a row. The rows go nowhere."""
    num_envs = problem.config.num_envs
    worlds = VectorEnv(problem.env, num_envs, num_envs)

    @jax.jit
    def begin(key: jax.Array) -> Any:
        state = worlds.reset(worlds.draw_starts(key))
        return state, problem.agent.init_exploration(key, num_envs), key, empty_row(problem)

    def advance(actor: Actor, carry: Any) -> Any:
        def step(_: int, carry: Any) -> Any:
            state, exploration, key, _ = carry
            key, key_step = jax.random.split(key)
            state, exploration, row, _ = collect(problem, worlds, actor, state, exploration, key_step)
            return state, exploration, key, row

        return jax.lax.fori_loop(0, steps, step, carry)

    compiled = jax.jit(advance, donate_argnums=1)
    actor = jax.jit(problem.init_actor)(jax.random.key(0))
    carry = begin(jax.random.key(1))

    def run() -> None:
        nonlocal carry
        carry = jax.block_until_ready(compiled(actor, carry))

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

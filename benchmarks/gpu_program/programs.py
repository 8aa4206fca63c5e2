"""The programs of a run that can be compiled for a card, each as a function and the shapes of its arguments."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from envs.command import UserError
from mjx_tecrl import Agent, Batch
from mjx_tecrl.agent import learn
from train.collect import step_worlds
from train.program import Program
from train.state import TrainState

ProgramName = Literal["update", "updates", "collect", "physics", "iteration", "evaluation"]


@dataclasses.dataclass(frozen=True)
class Compilable:
    """A function to compile.

    Attributes:
      function: of ``arguments``.
      arguments: shapes.
      renewed: numbers of the arguments that the function returns renewed: the state.
      donated: whether the function may overwrite them.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    renewed: tuple[int, ...] = (0,)
    donated: bool = True


def compilable(name: ProgramName, program: Program) -> Compilable:
    """The part of a run's program that has this name.

    ``update`` is one gradient step and ``updates`` are those of an iteration, on batches that are given. ``physics`` is a
    step of all worlds, ``collect`` the same with policy, resets and statistics. ``iteration`` is the training loop as it is
    run. ``evaluation`` plays episodes. The last argument of all but the first two says how many times.

    Raises:
      UserError: the agent has no such part; one sentence.
    """
    training = program.training
    config, problem, worlds = program.config, training.problem, training.worlds
    shapes, times = program.state_shapes(), jax.ShapeDtypeStruct((), jnp.int32)
    if name == "iteration":
        return Compilable(training.advance, (shapes, times))
    if name == "evaluation":
        root = jax.eval_shape(lambda: program.root)
        return Compilable(training.evaluate, (root, shapes.actor, times), renewed=())
    if name == "physics":
        action = jax.ShapeDtypeStruct((config.num_envs, problem.spec.action_size), jnp.float32)

        def physics(state: Any, action: jax.Array, times: jax.Array) -> Any:
            step = jax.vmap(problem.env.step)
            return jax.lax.fori_loop(0, times, lambda _, state: step(state, action), state)

        return Compilable(physics, (shapes.envs.worlds, action, times))
    if name == "collect":

        def collect(state: TrainState, times: jax.Array) -> TrainState:
            def once(_: int, state: TrainState) -> TrainState:
                return step_worlds(problem, worlds, state, state.actor.normalizer)[0]

            return jax.lax.fori_loop(0, times, once, state)

        return Compilable(collect, (shapes, times))
    if not isinstance(problem.agent, Agent):
        raise UserError(f"{config.agent} has no {name} of its own: it learns from rollouts; compile its iteration.")
    agent, key = problem.agent, jax.eval_shape(lambda: jax.random.key(0))
    if name == "update":
        return Compilable(agent.update, (shapes.actor.agent, _batch(program), key))
    updates, _ = config.update_schedule
    batches = jax.tree.map(lambda x: jax.ShapeDtypeStruct((updates, *x.shape), x.dtype), _batch(program))
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), updates))

    return Compilable(functools.partial(learn, agent), (shapes.actor.agent, batches, keys))


def _batch(program: Program) -> Batch:
    """The shapes of one batch."""
    problem, n = program.training.problem, program.config.batch_size
    assert isinstance(problem.agent, Agent)

    def array(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((n, *shape), jnp.float32)

    obs = problem.spec.critic_obs_size
    return Batch(
        obs=array(obs),
        action=array(problem.spec.action_size),
        reward=array(),
        discount=array(),
        next_obs=array(obs),
        weight=array(),
        one_step=None if problem.agent.n_step == 1 else (array(), array(obs)),
    )

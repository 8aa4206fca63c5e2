"""The compiled training program: ``jit``, ``vmap`` over seeds, shardings and donation. What it computes is `Training`'s."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mujoco

from mjx_tecrl.types import Metrics
from train.config import Config
from train.mesh import make_mesh, place, replicated, state_shardings, with_shardings
from train.problem import make_problem
from train.seeds import seed_axes, seed_keys
from train.state import TrainState, state_axes
from train.training import Training

_DETERMINISTIC = {"xla_gpu_deterministic_ops": True}
"""For the compiler. It also turns off the choice of kernels by their measured speed, which differs between processes."""


class Program:
    """`Training`, compiled.

    With ``num_seeds`` above 1 the functions take and return everything with a leading axis ``[num_seeds]``, but for what all
    seeds share (`train.axes`). ``root`` is then ``[num_seeds]`` too.

    Args:
      config: a validated config.
      model: see `make_problem`.

    Raises:
      UserError: the task or the agent refuses its arguments, or the config does not suit them.

    Attributes:
      config: the config, with the engine that ``auto`` stood for.
      mesh: the devices of the run; None for one device.
      training: what is compiled.
      root: the key of the run's seed.
      draw_starts: ``(root, chunk) -> start states``, see `Training.draw_starts`; likewise the others.
      init: ``(root, start states) -> state``.
      begin_chunk: ``(state, start states) -> state``; ``state`` is donated.
      advance: ``(state, iterations) -> state``; ``state`` is donated.
      report: ``state -> metrics``.
      evaluate: ``(root, actor, number) -> episodes``.
    """

    def __init__(self, config: Config, model: mujoco.MjModel | None = None):
        self.mesh = make_mesh(config.devices)
        self.training = Training(make_problem(config, model), self.mesh)
        self.config = self.training.problem.config
        self.root = seed_keys(config)
        self._compile(self.training)

    def _compile(self, training: Training) -> None:
        options = _DETERMINISTIC if self.config.deterministic else None
        several = self.config.num_seeds > 1
        declared = state_axes(training.state_shapes(), training.problem.agent)
        axes = seed_axes(declared) if several else None
        everywhere = replicated(self.mesh) if self.mesh else None
        self._shardings = state_shardings(self.mesh, declared, several) if self.mesh else None

        def compiled(
            function: Callable[..., Any],
            in_axes: Any,
            out_axes: Any = 0,
            out: Any = everywhere,
            donated: tuple[int, ...] = (),
        ) -> Any:
            if several:
                function = jax.vmap(function, in_axes, out_axes)
            return jax.jit(function, out_shardings=out, donate_argnums=donated, compiler_options=options)

        self.draw_starts = compiled(training.draw_starts, (0, None))
        self.init = compiled(training.init, (0, 0), axes, self._shardings)
        self.begin_chunk = compiled(training.begin_chunk, (axes, 0), axes, self._shardings, donated=(0,))
        self.advance = compiled(training.advance, (axes, None), axes, self._shardings, donated=(0,))
        self.report = compiled(training.report, (axes,))
        self.evaluate = compiled(training.evaluate, (0, axes and axes.actor, None))

    def state_shapes(self) -> TrainState:
        """The structure and the shapes of the run's state, on several devices also its shardings. Nothing is computed."""
        starts = self.draw_starts.eval_shape(self.root, jnp.zeros((), jnp.int32))
        shapes = self.init.eval_shape(self.root, starts)
        return with_shardings(shapes, self._shardings) if self._shardings else shapes

    def place(self, state: TrainState) -> TrainState:
        """A state in the host's memory, put where the functions want it."""
        return place(state, self.state_shapes()) if self.mesh else jax.device_put(state)

    def fresh_state(self) -> TrainState:
        """The state of a run that begins."""
        return self.init(self.root, self.draw_starts(self.root, jnp.zeros((), jnp.int32)))

    def train_chunk(self, state: TrainState, number: int) -> tuple[TrainState, Metrics]:
        """A whole chunk, that of ``number`` (from 1 on), and its metrics. ``state`` is donated."""
        state = self.begin_chunk(state, self.draw_starts(self.root, jnp.asarray(number, jnp.int32)))
        state = self.advance(state, self.training.chunk_iterations)
        return state, self.report(state)

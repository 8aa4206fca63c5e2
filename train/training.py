"""Training as pure functions over the whole state of a run: how it begins, what a chunk does to it, what a chunk reports.

Nothing here is compiled. `train.program` does that.
"""

import dataclasses

import jax
import jax.numpy as jnp

import envs
from envs import VectorEnv
from envs.command import user_errors
from envs.engines import OVERFLOW
from envs.finite import is_finite
from mjx_tecrl import OnPolicyAgent
from mjx_tecrl.types import Metrics
from train.iteration import Iteration
from train.off_policy import OffPolicyIteration
from train.on_policy import OnPolicyIteration
from train.problem import Actor, Problem
from train.state import Tally, TrainState, empty_tally

MIN_STARTS = 256
"""Start states drawn per chunk, at least."""

_PURPOSES = ("train", "pool", "evaluation")


class Training:
    """A problem, its worlds, and how its agent learns.

    All randomness comes from ``root``, the key of the run's seed, which the functions are given.

    Args:
      problem: the task and the agent.
      mesh: devices that share the worlds, the replay and the batches; None for one device.

    Raises:
      UserError: the config does not suit the agent, or the devices cannot share the worlds or the batches equally.

    Attributes:
      problem: the task and the agent.
      worlds: all worlds.
      iteration: how the agent learns.
      iteration_steps: environment steps in an iteration, over all worlds.
      chunk_iterations: iterations in a chunk.
      chunk_steps: environment steps in a chunk, over all worlds.
    """

    def __init__(self, problem: Problem, mesh: jax.sharding.Mesh | None = None):
        config = problem.config
        self.problem = problem
        with user_errors():
            self.worlds = VectorEnv(problem.env, config.num_envs, MIN_STARTS, mesh)
        self.iteration: Iteration = (
            OnPolicyIteration(problem, self.worlds)
            if isinstance(problem.agent, OnPolicyAgent)
            else OffPolicyIteration(problem, self.worlds, mesh)
        )
        self.iteration_steps = self.iteration.vector_steps * config.num_envs
        self.chunk_iterations = max(1, config.log_steps // self.iteration_steps)
        self.chunk_steps = self.chunk_iterations * self.iteration_steps
        self._iterate = jax.jit(lambda state: self.iteration(state))  # traced once, used twice

    def draw_starts(self, root: jax.Array, chunk: jax.Array) -> envs.State:
        """The start states of a chunk. They depend on the seed and the chunk's number alone."""
        return self.worlds.draw_starts(jax.random.fold_in(_key(root, "pool"), chunk))

    def init(self, root: jax.Array, starts: envs.State) -> TrainState:
        """The state of a run that begins."""
        key_agent, key_exploration, key = jax.random.split(_key(root, "train"), 3)
        replay, rewards = self.iteration.init_memory()
        state = TrainState(
            actor=self.problem.init_actor(key_agent),
            envs=self.worlds.reset(starts),
            exploration=self.problem.agent.init_exploration(key_exploration, self.problem.config.num_envs),
            rewards=rewards,
            replay=replay,
            key=key,
            vector_steps=jnp.zeros((), jnp.int32),
            updates=jnp.zeros((), jnp.int32),
            tally=(),
        )
        # What an iteration measures is known once there is a state to take it from.
        return dataclasses.replace(state, tally=empty_tally(*self._iterate.eval_shape(state)[1]))

    def state_shapes(self) -> TrainState:
        """The structure and the shapes of the state. Nothing is computed."""
        root, chunk = jax.random.key(0), jnp.zeros((), jnp.int32)
        return jax.eval_shape(self.init, root, jax.eval_shape(self.draw_starts, root, chunk))

    def begin_chunk(self, state: TrainState, starts: envs.State) -> TrainState:
        """Hands out new start states, and empties the tally."""
        tally = jax.tree.map(jnp.zeros_like, state.tally)
        assert isinstance(tally, Tally)
        tally = dataclasses.replace(tally, bad_starts=(~is_finite(starts)).sum(dtype=jnp.int32))
        return dataclasses.replace(state, envs=self.worlds.refill_pool(state.envs, starts), tally=tally)

    def advance(self, state: TrainState, iterations: int | jax.Array) -> TrainState:
        """Makes some iterations. In how many portions a chunk is made makes no difference."""

        def iterate(_: int, state: TrainState) -> TrainState:
            tally = state.tally
            assert isinstance(tally, Tally)
            state, (stats, metrics) = self._iterate(state)
            return dataclasses.replace(state, tally=tally.add(stats, metrics))

        return jax.lax.fori_loop(0, iterations, iterate, state)

    def report(self, state: TrainState) -> Metrics:
        """The metrics of the chunk that ends here."""
        assert isinstance(state.tally, Tally)
        total, sums, counts = state.tally.stats, dict(state.tally.sums), state.tally.counts
        # An episode's mean is NaN where none ended: "nothing to report".
        metrics = {
            "train/episodes": total.episodes,
            "train/return_mean": total.return_sum / total.episodes,
            "train/length_mean": total.length_sum / total.episodes,
            "safety/diverged": total.diverged,
            "safety/bad_starts": state.tally.bad_starts,
            "safety/skipped_updates": sums["skipped"],
            "safety/skipped_share": sums.pop("skipped") / counts["skipped"],
        }
        for name, x in total.metric_sums.items():
            where, value = ("safety", x) if name == OVERFLOW else ("env", x / total.valid)
            metrics[f"{where}/{name}"] = value
        return metrics | {f"agent/{name}": x / counts[name] for name, x in sums.items()}

    def evaluate(self, root: jax.Array, actor: Actor, number: jax.Array) -> envs.Episodes:
        """The evaluation of that number: episodes of the deterministic policy, in worlds and with keys of their own."""
        key = jax.random.fold_in(_key(root, "evaluation"), number)
        return self.problem.play(actor, key, self.problem.config.eval_episodes)


def _key(root: jax.Array, purpose: str) -> jax.Array:
    """A key for one purpose, independent of those for the others."""
    return jax.random.fold_in(root, _PURPOSES.index(purpose))

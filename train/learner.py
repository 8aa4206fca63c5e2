"""The training program: everything that runs inside ``jit``."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import envs
from envs.engines import OVERFLOW
from envs.finite import LIMIT, is_finite
from envs.vector import Row, StepStats, VectorEnv
from mjx_tecrl import Agent, OnPolicyAgent, Spec, named_agent
from mjx_tecrl.agent import with_matmul_precision
from mjx_tecrl.normalizer import Normalizer, init_normalizer, update_normalizer
from train.config import Config
from envs.command import UserError
from train.mesh import make_mesh, put, state_shardings, whole, with_shardings
from train.replay_loop import ReplayLoop
from train.rollout_loop import RolloutLoop
from train.seeds import roots, seed_axes
from train.state import Actor, Tally, TrainState, empty_tally, join

MIN_POOL = 256
"""Start states drawn per chunk, at least."""


_DETERMINISTIC = {"xla_gpu_deterministic_ops": True}
"""For the compiler; it also turns off the choice of kernels by their measured speed, which differs between processes."""


class Learner:
    """A task and an agent, and the jitted functions that train and evaluate one on the other.

    All randomness comes from ``root``, the key of the run's seed, which the functions are given. With ``num_seeds`` above 1
    there is one for each, and the jitted functions take and return everything with a leading axis ``[num_seeds]``, but for
    counters (`train.seeds.seed_axes`).

    Args:
      config: a validated config.

    Raises:
      UserError: the task or the agent refuses its arguments; one sentence.
    """

    def __init__(self, config: Config):
        self.config = config
        try:
            self.env = envs.make(config.env, config.env_args, config.physics, config.solver, config.randomization)
            spec = Spec(self.env.obs_size, self.env.action_size, self.env.privileged_size)
            agent = named_agent(config.agent).make(config.agent_args, spec)
            self.agent: Agent | OnPolicyAgent = with_matmul_precision(agent, config.matmul_precision)
            self.mesh = make_mesh(config.devices)
            self.worlds = VectorEnv(self.env, config.num_envs, MIN_POOL, self.mesh)
        except (ValueError, NotImplementedError) as error:
            raise UserError(f"{str(error).rstrip('.')}.") from error
        self._critic_obs_size = spec.critic_obs_size
        self.loop: ReplayLoop | RolloutLoop = (
            RolloutLoop(config, self.agent)
            if isinstance(self.agent, OnPolicyAgent)
            else ReplayLoop(config, self.agent, self.mesh)
        )
        self.chunk_iterations = self.loop.turns_per_chunk * self.loop.turn_iterations
        self.chunk_steps = self.chunk_iterations * config.num_envs
        self._turn = jax.jit(lambda state: self.loop.turn(state, self._collect, self._see))  # traced once, used twice
        self.root = roots(config)
        self._compile()

    def _compile(self) -> None:
        options = _DETERMINISTIC if self.config.deterministic else None

        several = self.config.num_seeds > 1
        axes = seed_axes(self._shapes_of_one_seed()) if several else None
        everywhere = whole(self.mesh) if self.mesh else None
        self._shardings = state_shardings(self.mesh, self._shapes_of_one_seed(), several) if self.mesh else None

        def program(
            function: Callable[..., Any],
            in_axes: Any,
            out_axes: Any = 0,
            out: Any = everywhere,
            donated: tuple[int, ...] = (),
        ) -> Any:
            if several:
                function = jax.vmap(function, in_axes, out_axes)
            return jax.jit(function, out_shardings=out, donate_argnums=donated, compiler_options=options)

        self.draw_pool = program(self._draw_pool, (0, None))
        self.init = program(self._init, (0, 0), axes, self._shardings)
        self.begin_chunk = program(self._begin_chunk, (axes, 0), axes, self._shardings, donated=(0,))
        self.advance = program(self._advance, (axes, None), axes, self._shardings, donated=(0,))
        self.report = program(self._report, (axes,))
        self.evaluate = program(self._evaluate, (0, axes and axes.actor, None))

    def _shapes_of_one_seed(self) -> TrainState:
        root, number = jax.random.key(0), jnp.zeros((), jnp.int32)
        return jax.eval_shape(self._init, root, jax.eval_shape(self._draw_pool, root, number))

    def row_shapes(self) -> Row:
        """Shapes of one row of the replay or the rollout, leading axis ``[num_envs]``."""
        n, flag = self.config.num_envs, jnp.zeros(self.config.num_envs, bool)
        return jax.eval_shape(
            lambda: Row(
                obs=jnp.zeros((n, self._critic_obs_size)),
                action=jnp.zeros((n, self.env.action_size)),
                reward=jnp.zeros(n),
                terminated=flag,
                done=flag,
                valid=flag,
            )
        )

    def state_shapes(self) -> TrainState:
        """Structure and shapes of the run's state, computed without allocating it; on several devices also shardings."""
        shapes = self.init.eval_shape(self.root, self.draw_pool.eval_shape(self.root, jnp.zeros((), jnp.int32)))
        return with_shardings(shapes, self._shardings) if self._shardings else shapes

    def place(self, state: TrainState, shapes: TrainState) -> TrainState:
        """A state of the host where the programs want it; ``shapes`` are those of `state_shapes`."""
        return put(state, shapes) if self.mesh else jax.device_put(state)

    def init_actor(self, key: jax.Array) -> Actor:
        """An untrained actor."""
        return Actor(self.agent.init(key), init_normalizer(self._critic_obs_size))

    def policy(self, actor: Actor) -> envs.rollout.Policy:
        """The deterministic policy."""
        return lambda obs: self.agent.act(actor.agent, self._see(actor.normalizer, join(obs)), None, "deterministic")

    def _draw_pool(self, root: jax.Array, chunk: jax.Array) -> envs.State:
        """The start states of a chunk: they depend on the seed and its number alone."""
        return self.worlds.draw_starts(jax.random.fold_in(_key(root, "pool"), chunk))

    def _init(self, root: jax.Array, pool: envs.State) -> TrainState:
        key_agent, key_exploration, key = jax.random.split(_key(root, "train"), 3)
        state = TrainState(
            actor=self.init_actor(key_agent),
            envs=self.worlds.reset(pool),
            exploration=self.loop.init_exploration(key_exploration),
            rewards=self.loop.init_rewards(),
            replay=self.loop.init_replay(self.row_shapes()),
            key=key,
            iterations=jnp.zeros((), jnp.int32),
            updates=jnp.zeros((), jnp.int32),
            tally=(),
        )
        # What a turn measures is known once there is a state to take it from.
        return dataclasses.replace(state, tally=empty_tally(*self._turn.eval_shape(state)[1]))

    def _evaluate(self, root: jax.Array, actor: Actor, number: jax.Array) -> envs.Episodes:
        """Episodes of the deterministic policy, on worlds and keys of their own."""
        key = jax.random.fold_in(_key(root, "evaluation"), number)
        return envs.run_episodes(self.env, self.policy(actor), key, self.config.eval_episodes)

    def train_chunk(self, state: TrainState, pool: envs.State) -> tuple[TrainState, dict[str, jax.Array]]:
        """A whole chunk, ``chunk_iterations`` steps of all worlds, and its metrics. ``state`` is donated."""
        state = self.advance(self.begin_chunk(state, pool), self.loop.turns_per_chunk)
        return state, self.report(state)

    def _begin_chunk(self, state: TrainState, pool: envs.State) -> TrainState:
        """New start states, and an empty tally."""
        tally = jax.tree.map(jnp.zeros_like, state.tally)
        assert isinstance(tally, Tally)
        tally = dataclasses.replace(tally, bad_starts=(~is_finite(pool)).sum(dtype=jnp.int32))
        return dataclasses.replace(state, envs=self.worlds.refill_pool(state.envs, pool), tally=tally)

    def _advance(self, state: TrainState, turns: int | jax.Array) -> TrainState:
        """``turns`` turns of the loop; in how many portions a chunk is taken makes no difference."""

        def turn(_: int, state: TrainState) -> TrainState:
            tally = state.tally
            assert isinstance(tally, Tally)
            state, (stats, metrics) = self._turn(state)
            return dataclasses.replace(state, tally=tally.add(stats, metrics))

        return jax.lax.fori_loop(0, turns, turn, state)

    def _report(self, state: TrainState) -> dict[str, jax.Array]:
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

    def _collect(self, state: TrainState, normalizer: Normalizer) -> tuple[TrainState, Row, StepStats, jax.Array]:
        """One step of all worlds by the present policy, which sees through ``normalizer``; and a key to learn with."""
        key, key_explore, key_learn = jax.random.split(state.key, 3)
        actor, worlds = state.actor, state.envs
        obs = self._see(normalizer, join(worlds.worlds.obs))
        draw = lambda key: self.agent.act(actor.agent, obs, key, "sample")  # noqa: E731
        action, exploration = self.loop.explore(state.exploration, draw, worlds.starts_episode, key_explore)
        if self.config.random_start:
            filling = state.iterations < -(-self.config.learning_starts // self.config.num_envs)
            uniform = jax.random.uniform(jax.random.fold_in(key_explore, 1), action.shape, minval=-1.0)
            action = jnp.where(filling, uniform, action)
        # Clipping would make an action of one that is infinite.
        sane = jnp.abs(action) <= LIMIT
        worlds, row, stats = self.worlds.step(worlds, jnp.where(sane, jnp.clip(action, -1, 1), jnp.nan))
        row = dataclasses.replace(row, obs=join(row.obs), action=jnp.where(sane, action, 0.0))
        if self.config.normalize_obs:
            seen = jnp.ones(self.config.num_envs, bool)
            actor = dataclasses.replace(actor, normalizer=update_normalizer(actor.normalizer, row.obs, seen))
        state = dataclasses.replace(
            state, actor=actor, envs=worlds, exploration=exploration, key=key, iterations=state.iterations + 1
        )
        return state, row, stats, key_learn

    def _see(self, normalizer: Normalizer, obs: jax.Array) -> jax.Array:
        return normalizer.normalize(obs) if self.config.normalize_obs else obs


def _key(root: jax.Array, purpose: str) -> jax.Array:
    """A key for one purpose, independent of those for the others."""
    return jax.random.fold_in(root, _PURPOSES.index(purpose))


_PURPOSES = ("train", "pool", "evaluation")

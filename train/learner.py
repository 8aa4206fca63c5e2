"""The training program: everything that runs inside ``jit``."""

import dataclasses

import jax
import jax.numpy as jnp

import envs
from envs.physics import OVERFLOW
from envs.vector import LIMIT, Row, StepStats, VectorEnv, is_sane
from mjx_tecrl import Agent, OnPolicyAgent, Spec, named_agent
from mjx_tecrl.normalizer import Normalizer, init_normalizer, update_normalizer
from train.config import Config
from train.errors import UserError
from train.replay_loop import ReplayLoop
from train.rollout_loop import RolloutLoop
from train.state import Actor, TrainState, join

MIN_POOL = 256
"""Start states drawn per chunk, at least."""


class Learner:
    """A task and an agent, and the jitted functions that train and evaluate one on the other.

    All randomness comes from ``root``, the key of the run's seed, which the functions are given: several seeds are one
    ``vmap`` over it and over the state.

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
            self.agent: Agent | OnPolicyAgent = named_agent(config.agent).make(config.agent_args, spec)
        except (ValueError, NotImplementedError) as error:
            raise UserError(f"{str(error).rstrip('.')}.") from error
        self._critic_obs_size = spec.critic_obs_size
        self.worlds = VectorEnv(self.env, config.num_envs, MIN_POOL)
        self.loop: ReplayLoop | RolloutLoop = (
            RolloutLoop(config, self.agent) if isinstance(self.agent, OnPolicyAgent) else ReplayLoop(config, self.agent)
        )
        self.chunk_iterations = self.loop.turns_per_chunk * self.loop.turn_iterations
        self.draw_pool = jax.jit(self._draw_pool)
        self.init = jax.jit(self._init)
        self.train_chunk = jax.jit(self._train_chunk, donate_argnums=0)
        self.evaluate = jax.jit(self._evaluate)

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
        """Structure and shapes of the run's state, computed without allocating it."""
        root = jax.random.key(0)
        return jax.eval_shape(lambda: self._init(root, self._draw_pool(root, jnp.zeros((), jnp.int32))))

    def init_actor(self, key: jax.Array) -> Actor:
        """An untrained actor."""
        return Actor(self.agent.init(key), init_normalizer(self._critic_obs_size))

    def policy(self, actor: Actor) -> envs.rollout.Policy:
        """The deterministic policy."""
        return lambda obs: self.agent.act(actor.agent, self._see(actor.normalizer, join(obs)), None, "deterministic")

    def _draw_pool(self, root: jax.Array, chunk: jax.Array) -> envs.State:
        """The start states of a chunk: they depend on the seed and its number alone."""
        return self.worlds.draw(jax.random.fold_in(_key(root, "pool"), chunk))

    def _init(self, root: jax.Array, pool: envs.State) -> TrainState:
        key_agent, key_exploration, key = jax.random.split(_key(root, "train"), 3)
        return TrainState(
            actor=self.init_actor(key_agent),
            envs=self.worlds.init(pool),
            exploration=self.loop.init_exploration(key_exploration),
            rewards=self.loop.init_rewards(),
            replay=self.loop.init_replay(self.row_shapes()),
            key=key,
            iterations=jnp.zeros((), jnp.int32),
        )

    def _evaluate(self, root: jax.Array, actor: Actor, number: jax.Array) -> envs.Episodes:
        """Episodes of the deterministic policy, on worlds and keys of their own."""
        key = jax.random.fold_in(_key(root, "evaluation"), number)
        return envs.run_episodes(self.env, self.policy(actor), key, self.config.eval_episodes)

    def _train_chunk(self, state: TrainState, pool: envs.State) -> tuple[TrainState, dict[str, jax.Array]]:
        """``chunk_iterations`` iterations, and their averages."""
        state = dataclasses.replace(state, envs=self.worlds.refill(state.envs, pool))
        turn = lambda state, _: self.loop.turn(state, self._collect, self._see)  # noqa: E731
        state, (stats, learned) = jax.lax.scan(turn, state, length=self.loop.turns_per_chunk)
        total = jax.tree.map(lambda x: x.sum(0), stats)
        # An episode's mean is NaN where none ended: "nothing to report".
        metrics = {
            "train/episodes": total.episodes,
            "train/return_mean": total.return_sum / total.episodes,
            "train/length_mean": total.length_sum / total.episodes,
            "safety/diverged": total.diverged,
            "safety/bad_starts": (~is_sane(pool)).sum(dtype=jnp.int32),
            "safety/skipped_updates": jnp.nansum(learned["skipped"]),
            "safety/skipped_share": jnp.nanmean(learned.pop("skipped")),
        }
        if OVERFLOW in total.metric_sums:
            metrics[f"safety/{OVERFLOW}"] = total.metric_sums.pop(OVERFLOW)
        metrics |= {f"env/{name}": x / total.valid for name, x in total.metric_sums.items()}
        metrics |= {f"agent/{name}": jnp.nanmean(x, axis=(0, 1)) for name, x in learned.items()}
        return state, metrics

    def _collect(self, state: TrainState, normalizer: Normalizer) -> tuple[TrainState, Row, StepStats, jax.Array]:
        """One step of all worlds by the present policy, which sees through ``normalizer``; and a key to learn with."""
        key, key_explore, key_learn = jax.random.split(state.key, 3)
        actor, worlds = state.actor, state.envs
        obs = self._see(normalizer, join(worlds.worlds.obs))
        draw = lambda key: self.agent.act(actor.agent, obs, key, "sample")  # noqa: E731
        action, exploration = self.loop.explore(state.exploration, draw, worlds.starts_episode, key_explore)
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

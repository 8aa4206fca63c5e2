"""A task and an agent put together: all that acting needs, and nothing of how the agent learns."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco

import envs
from envs.adapters.foreign import ForeignTask
from envs.base import Obs, split_obs
from envs.command import user_errors
from envs.engines import ENGINES, candidates, resolve_engine
from envs.own_code import label
from envs.rollout import Policy
from mjx_tecrl import Agent, OnPolicyAgent, Spec
from mjx_tecrl.agent import AgentState, with_matmul_precision
from mjx_tecrl.normalizer import Normalizer, init_normalizer
from train.agents import find_agent
from train.config import Config, flag


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Actor:
    """What it takes to act. Evaluation reads this part of a checkpoint and no other.

    Attributes:
      agent: the agent's state.
      normalizer: statistics of the observations.
    """

    agent: AgentState = dataclasses.field(metadata={"axes": ()})
    normalizer: Normalizer = dataclasses.field(metadata={"axes": ()})


@dataclasses.dataclass(frozen=True)
class Problem:
    """A task and an agent that fit each other.

    Attributes:
      config: a validated config, which says what the others are. It names the engine that ``auto`` stood for.
      env: the task, in one world.
      agent: the agent.
      spec: the sizes that the agent was built for.
    """

    config: Config
    env: envs.MujocoTask | envs.RandomizedEnv | ForeignTask
    agent: Agent | OnPolicyAgent
    spec: Spec

    def init_actor(self, key: jax.Array) -> Actor:
        """An untrained actor."""
        return Actor(self.agent.init(key), init_normalizer(self.spec.critic_obs_size))

    def actor_shapes(self) -> Actor:
        """The structure and the shapes of an actor. Nothing is computed."""
        return jax.eval_shape(self.init_actor, jax.random.key(0))

    def observe(self, normalizer: Normalizer, obs: Obs) -> jax.Array:
        """An observation as the networks see it: one array ``[..., critic_obs_size]``, normalised if the config says so."""
        joined = join(obs)
        return normalizer.normalize(joined) if self.config.normalize_obs else joined

    def policy(self, actor: Actor) -> Policy:
        """The deterministic policy: ``obs [n, obs_size] -> action [n, action_size]`` in [-1, 1].

        Observations may be NumPy's arrays, in double precision too: other simulators have those. It raises a ValueError for
        observations of another width.
        """

        def act(obs: Obs) -> jax.Array:
            width = split_obs(obs)[0].shape[-1]
            if width != self.spec.obs_size:
                raise ValueError(f"an observation of {self.env.name} must be {self.spec.obs_size} wide, not {width}")
            seen = self.observe(actor.normalizer, jax.tree.map(jnp.asarray, obs))
            return self.agent.act(actor.agent, seen, None, "deterministic")

        return act

    def play(self, actor: Actor, key: jax.Array, num_episodes: int) -> envs.Episodes:
        """Episodes of the deterministic policy, side by side in worlds of their own (jit-able)."""
        return envs.run_episodes(self.env, self.policy(actor), key, num_episodes)


def make_problem(config: Config, model: mujoco.MjModel | None = None) -> Problem:
    """Puts the config's task and agent together.

    Args:
      config: a validated config.
      model: the compiled model that the run has already (`train.model_file`); None for what the task loads.

    Raises:
      UserError: the task or the agent refuses its arguments.
    """
    with user_errors():
        env = envs.make(
            config.env,
            config.env_args,
            config.physics,
            config.solver,
            config.randomization,
            model,
            repeatable=config.deterministic,
        )
        engine = env.engine_name if env.engine_name in ENGINES else resolve_engine(config.physics)
        config = dataclasses.replace(config, physics=engine)
        spec = Spec(env.obs_size, env.action_size, env.privileged_size)
        kind = find_agent(config.agent)
        try:
            agent = kind.make(config.agent_args, spec)
        except ValueError as error:
            field, _, rest = str(error).partition(" ")
            if field not in kind.Config.__dataclass_fields__:
                raise
            raise ValueError(f"{flag(f'agent.{field}')} {rest}") from error
    return Problem(config, env, with_matmul_precision(agent, config.matmul_precision), spec)


def tracing_note(config: Config) -> str | None:
    """A line to say before `make_problem`, which may then say nothing for minutes; None where it takes seconds."""
    engine = candidates(config.physics, config.deterministic)[0]
    if engine not in ("mjx", "warp"):
        return None
    return f"tracing {label(config.env)} for {engine}; with many meshes or contacts this alone takes minutes"


def join(obs: Obs) -> jax.Array:
    """An observation as one array. What the policy observes comes first."""
    return jnp.concatenate([obs["state"], obs["privileged"]], axis=-1) if isinstance(obs, dict) else obs

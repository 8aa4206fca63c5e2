"""``python -m benchmarks.updates``: gradient steps per second of agents, each pair side by side in one run.

The pairs check two claims: what an entropy critic costs (`dsac_e` against `dsac_t`), and what the ERA head costs (about 6 %,
according to arXiv 2510.08549). The two agents of a pair take turns, so that both suffer alike from what else the machine
does.
"""

import dataclasses
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import envs
from benchmarks.choices import chosen
from benchmarks.report import Report
from envs.command import run_command, user_errors
from mjx_tecrl import Batch, Spec
from mjx_tecrl.agent import MatmulPrecision, learn, with_matmul_precision
from train.agents import find_agent

PROGRAM = "python -m benchmarks.updates"

PAIRS = (
    ("dsac_e", "dsac_t"),
    ("dsac_e:policy=era_gaussian", "dsac_e"),
    ("sac_era", "sac"),
    ("fast_sac_era", "fast_td3:delay=1"),
)


@dataclasses.dataclass(frozen=True)
class Args:
    """Time gradient steps of pairs of agents."""

    task: str = "humanoid"
    """the task, for the sizes of observation and action"""
    pair: Annotated[tuple[tuple[str, str], ...], tyro.conf.UseAppendAction] = ()
    """an agent and the one it is measured against, with choices if need be (dsac_e:critics=5); may be repeated"""
    preset: str = "paper"
    """the preset that the agents' constants come from"""
    batch_size: int = 256
    """transitions per gradient step"""
    updates: int = 50
    """gradient steps per turn"""
    turns: int = 20
    """turns of each agent"""
    json: pathlib.Path | None = None
    """file to write the figures to"""


def main(args: Args) -> None:
    """Measures, prints, writes."""
    report = Report(PROGRAM, args)
    table = Table("agent", "against", "updates/s", "against", "time, ratio", "middle half", title=args.task)
    pairs = args.pair or PAIRS
    for agent in (agent for pair in pairs for agent in pair):
        chosen(args.preset, args.task, agent)  # otherwise a wrong name would show only after other pairs were measured
    for pair in pairs:
        row = measure(args, *pair)
        report.add(args.task, row)
        low, high = row["ratio_quartiles"]
        table.add_row(
            *row["pair"], *(f"{x:.0f}" for x in row["updates_per_s"]), f"{row['ratio']:.3f}", f"{low:.3f} to {high:.3f}"
        )
    Console().print(table)


def measure(args: Args, *pair: str) -> dict[str, Any]:
    """Times a pair of agents in turns; returns a row of the table."""
    runs = [program(args.preset, args.task, agent, args.batch_size, args.updates).run for agent in pair]
    seconds = np.array([[_seconds(run) for run in runs] for _ in range(args.turns)])
    ratios = seconds[:, 0] / seconds[:, 1]
    return {
        "pair": pair,
        "updates_per_s": (args.updates / np.median(seconds, 0)).tolist(),
        "ratio": float(np.median(ratios)),
        "ratio_quartiles": np.quantile(ratios, (0.25, 0.75)).tolist(),
    }


class Program(NamedTuple):
    """A compiled turn of gradient steps.

    Attributes:
      run: makes the gradient steps of a turn, and waits for them.
      flops: floating-point operations of one gradient step, as the compiler counts them before it optimises.
      bytes: the least that one gradient step has to move: it reads and writes the agent's state, and reads a batch.
    """

    run: Callable[[], None]
    flops: float
    bytes: float


def program(
    preset: str,
    task: str,
    agent_name: str,
    batch_size: int,
    updates: int,
    precision: MatmulPrecision = "float32",
) -> Program:
    """Compiles a turn of gradient steps on one batch.

    Args:
      preset: the preset that the agent's constants come from.
      task: gives the sizes of observation and action.
      agent_name: the agent, with its choices.
      batch_size: transitions per gradient step.
      updates: gradient steps in the turn.
      precision: of the matrix products.

    Raises:
      UserError: an unknown name, or a choice that the agent does not have or refuses; one sentence.
    """
    config = chosen(preset, task, agent_name)
    with user_errors():
        env = envs.make(task, physics="native")
        spec = Spec(env.obs_size, env.action_size)
        agent = with_matmul_precision(find_agent(config.agent).make(config.agent_args, spec), precision)
    rng = np.random.default_rng(0)
    obs, next_obs = rng.normal(size=(2, batch_size, spec.critic_obs_size))
    batch = Batch(
        obs=jnp.float32(obs),
        action=jnp.float32(rng.uniform(-1, 1, (batch_size, spec.action_size))),
        reward=jnp.float32(rng.normal(size=batch_size)),
        discount=jnp.full(batch_size, agent.discount),
        next_obs=jnp.float32(next_obs),
        weight=jnp.ones(batch_size),
    )

    @jax.jit
    def turn(state: Any, batch: Batch) -> Any:
        batches = jax.tree.map(lambda x: jnp.broadcast_to(x, (updates, *x.shape)), batch)
        return learn(agent, state, batches, jax.random.split(jax.random.key(0), updates))

    state = agent.init(jax.random.key(0))
    run = lambda: jax.block_until_ready(turn(state, batch))  # noqa: E731
    run()
    costs: Any = jax.jit(agent.update).lower(state, batch, jax.random.key(0)).cost_analysis()
    state_bytes, batch_bytes = (sum(x.nbytes for x in jax.tree.leaves(tree)) for tree in (state, batch))
    return Program(run, costs["flops"], 2 * state_bytes + batch_bytes)


def _seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

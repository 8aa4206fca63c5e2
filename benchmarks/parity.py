"""``python -m benchmarks.parity``: every task on every engine against Gymnasium or dm_control itself, as a table.

From each of many states the original and our task make one step under the same action. The states are those of a random
policy, of full-amplitude sinusoids, and of what follows a fall. For an engine that is not C MuJoCo itself, the returns and
lengths of whole episodes are compared with the native engine's, too. Only their distributions can be compared: contacts are
chaotic, so that single episodes differ after tens of steps.
"""

import dataclasses
import pathlib
import sys
import time
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from scipy import stats

import envs
from benchmarks.choices import EngineName, named_tasks
from benchmarks.originals import Outcome, original
from benchmarks.report import Report
from benchmarks.states import rounded, state_sets
from envs.command import UserError, run_command, user_errors
from train.compilation_cache import use_compilation_cache
from train.config import Config

PROGRAM = "python -m benchmarks.parity"

ROUNDED = "native, state rounded"
"""Name of the row that shows what a float32 rounding of the state alone does."""
ROUNDINGS = 8
"""How often each state is rounded anew."""


ORIGINALS: dict[str, type[envs.MujocoTask]] = envs.GYMNASIUM_TASKS | envs.DMC_TASKS
"""The tasks that equal another library's."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare tasks with their originals, engine by engine."""

    task: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """task to compare; may be repeated; default: all tasks"""
    engines: tuple[EngineName, ...] = ("native", "mjx", "warp")
    """engines to compare; a task is compared on those of them that it runs on"""
    states: int = 70
    """states in each of the three sets"""
    episodes: int = 64
    """episodes per engine whose returns and lengths are compared; 0 for none"""
    steps: int = 100
    """longest such episode (environment steps)"""
    json: pathlib.Path | None = None
    """file to write the figures to; tasks and engines in it that are not compared now are kept"""
    markdown: pathlib.Path | None = None
    """file to write the table to, made from all that is in the JSON file"""


def main(args: Args) -> None:
    """Compares, prints, writes."""
    names = named_tasks(args.task, ORIGINALS)
    report = Report(PROGRAM, args)
    use_compilation_cache(Config.compilation_cache)
    for name in names:
        started = time.perf_counter()
        for engine, found in compare(name, args).items():
            report.add(f"{name}, {engine}", {"task": name, "engine": engine, **found})
        print(f"{name} ({time.perf_counter() - started:.0f} s)", *_lines(report.rows(task=name)), sep="\n", flush=True)
    report.save_page(page(report))


def compare(name: str, args: Args) -> dict[str, Any]:
    """Compares one task on every engine.

    Returns:
      By engine, and by `ROUNDED`: the errors, and for an engine that is not C MuJoCo itself the p-values of the episodes.

    Raises:
      UserError: the original is not installed, or an engine is not there; one sentence.
    """
    with user_errors():
        task = envs.make(name, physics="native")
    sets = state_sets(task, args.states, seed=0).values()
    drawn, actions = jax.tree.map(lambda *x: np.concatenate(x), *sets)

    def reset_to(drawn: envs.State) -> envs.State:
        first = task.reset_to(drawn.physics.qpos, drawn.physics.qvel, drawn.info)
        return dataclasses.replace(first, physics=dataclasses.replace(first.physics, act=drawn.physics.act))

    first = jax.device_get(jax.jit(jax.vmap(reset_to))(drawn))
    try:
        expected = outcomes(task, first, actions)
    except ImportError as error:
        raise UserError(f"The original of {name} is not installed: {error}.") from error
    played = play(task, args) if args.episodes and _plays_for_its_body(task) else None
    step, rng = jax.jit(jax.vmap(task.step)), np.random.default_rng(0)
    off = [jax.device_get(step(rounded(first, rng), actions)) for _ in range(ROUNDINGS)]
    result = {ROUNDED: errors(jax.tree.map(lambda *x: np.concatenate(x), *off), expected * ROUNDINGS)}
    for engine in (engine for engine in args.engines if engine in task.engines):
        with user_errors():
            ours = envs.make(name, physics=engine)
        metrics = jax.eval_shape(ours.reset, jax.random.key(0)).metrics  # an engine may have metrics of its own
        metrics = jax.tree.map(lambda x: np.zeros((len(actions), *x.shape), x.dtype), metrics)
        after = jax.jit(jax.vmap(ours.step))(dataclasses.replace(first, metrics=metrics), actions)
        result[engine] = errors(jax.device_get(after), expected)
        if played is not None and engine != "native":
            other = play(ours, args)
            result[engine]["episodes"] = {
                field: float(stats.ks_2samp(played[field], other[field]).pvalue) for field in played
            } | {"n": args.episodes, "steps": args.steps}
    return result


def outcomes(task: envs.MujocoTask, first: envs.State, actions: np.ndarray) -> list[Outcome]:
    """The outcome of each state and action in the original."""
    reference, expected = original(task), []
    for world, action in enumerate(actions):
        begun = jax.tree.map(lambda x, w=world: x[w], first)
        reference.reset_to(begun.physics, begun.info.get("model", {}))
        expected.append(reference.step(np.asarray(action)))
    return expected


def errors(ours: envs.State, expected: list[Outcome]) -> dict[str, Any]:
    """Largest, 99th percentile and median over states of each error.

    The error of an observation is that of its worst entry, in units of the state's largest entry where that is above 1.
    """
    obs = ours.obs["state"] if isinstance(ours.obs, dict) else ours.obs
    theirs = np.stack([outcome.obs for outcome in expected])
    scale = np.maximum(1.0, np.abs(theirs).max(axis=1, keepdims=True))
    terms = {
        name: np.abs(ours.metrics[name] - np.array([outcome.terms[name] for outcome in expected]))
        for name in expected[0].terms
        if name in ours.metrics
    }
    return {
        "states": len(expected),
        "obs": _summary((np.abs(obs - theirs) / scale).max(axis=1)),
        "reward": _summary(np.abs(ours.reward - np.array([outcome.reward for outcome in expected]))),
        "terms": {name: _summary(error) for name, error in terms.items()},
        "terminated_differs": int((ours.terminated != np.array([outcome.terminated for outcome in expected])).sum()),
        "overflows": int(np.sum(ours.metrics.get(envs.engines.OVERFLOW, 0) > 0)),
    }


def play(task: envs.MujocoTask, args: Args) -> dict[str, np.ndarray]:
    """Returns and lengths of episodes. Their policy looks like noise, but is the same function on every engine."""
    task.episode_length = min(args.steps, task.episode_length)
    weights = np.float32(np.random.default_rng(0).normal(0, 1e3, (task.obs_size, task.action_size)))

    def policy(obs: jax.Array) -> jax.Array:
        return jnp.sin(obs @ weights)

    seed = 1 if task.engine_name == "native" else 2
    episodes = jax.jit(lambda key: envs.run_episodes(task, policy, key, args.episodes))(jax.random.key(seed))
    return {"returns": np.asarray(episodes.returns), "lengths": np.asarray(episodes.lengths)}


def page(report: Report) -> str:
    """The table as a page of the documentation."""
    lines = [_HEAD]
    missing = []
    for name, task in ORIGINALS.items():
        rows = report.rows(task=name)
        lines += _lines(rows)
        compared = {row["engine"] for row in rows}
        engines = ", ".join(engine for engine in task.engines if engine not in compared)
        missing += [f"`{name}` ({engines})"] if engines else []
    if missing:
        lines += ["", f"Not compared yet: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


_HEAD = """\
# Parity

Written by `python -m benchmarks.parity --json benchmarks/results/parity.json --markdown docs/parity.md`.

Each row compares one environment step with Gymnasium's or dm_control's own, from as many states as the row says, given the
same positions, velocities, activations and action. A third of the states comes from a random policy, a third from
full-amplitude sinusoids, and a third from what follows a fall (if nothing ends the episode, from its second half). Errors
are absolute; the largest and the median over states are given for the observation's worst entry (in units of the state's
largest entry where that is above 1), for the reward, and the largest for the worst reward term. *ended* counts the states in
which `terminated` differs. *episodes* gives the p-values (returns / lengths) of two-sample Kolmogorov-Smirnov tests between
whole episodes on this engine and on `native`, each with start states of its own. Tasks that share a body share these
episodes.

The rows *native, state rounded* show what the step itself makes of a float32 rounding: C MuJoCo starts from states that are
off by 1e-7, eight times from each ([physics.md](physics.md#which-errors-are-float32s)). If the largest error of another
engine is far above the one in that row, rounding does not explain it; [physics.md](physics.md#where-mjx-and-c-mujoco-differ)
says what does.

| task | engine | states | observation max / median | reward max / median | worst term | ended | episodes |
|---|---|---|---|---|---|---|---|"""


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    """The lines of the table for the rows of one task."""
    lines = []
    order = [ROUNDED, *envs.engines.ENGINES]
    for found in sorted(rows, key=lambda row: order.index(row["engine"])):
        term = max(found["terms"], key=lambda term: found["terms"][term]["max"], default=None)
        worst = "" if term is None or len(found["terms"]) < 2 else f"{term} {found['terms'][term]['max']:.0e}"
        played = found.get("episodes")
        episodes = f"{played['returns']:.2f} / {played['lengths']:.2f}" if played else ""
        cells = [found["task"], found["engine"], found["states"], *(_cell(found[x]) for x in ("obs", "reward")), worst]
        lines.append("| " + " | ".join(map(str, [*cells, found["terminated_differs"], episodes])) + " |")
    return lines


def _cell(summary: dict[str, float]) -> str:
    return f"{summary['max']:.0e} / {summary['median']:.0e}"


def _summary(error: np.ndarray) -> dict[str, float]:
    return {"max": float(error.max()), "p99": float(np.quantile(error, 0.99)), "median": float(np.median(error))}


def _plays_for_its_body(task: envs.MujocoTask) -> bool:
    """Whether the task is the first one with its body. The others with this body share its episodes."""
    family = [name for name in ORIGINALS if name.split("-")[0] == task.name.split("-")[0]]
    same = (name for name in family if envs.make(name, physics="native").model.nq == task.model.nq)
    return task.name == next(same)


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))

"""``python -m eval.inspect RUN_DIR``: shows which worlds of a run blew up, and how."""

import dataclasses
import pathlib
import sys
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import envs
from envs import State, VectorEnv
from envs.blow_ups import TRAIL, BlowUps
from envs.command import UserError, run_command, say
from envs.engines import PhysicsState
from envs.engines.native import silent
from envs.engines.support import with_fields
from envs.film import check_film, has_camera, overview, write_film
from envs.finite import LIMIT
from envs.poses import own_fields
from eval.restore import OwnCodeArgs, load_problem, load_single_config
from train.divergence import DUMP_FILE, load_dump

PICTURES_PER_SECOND = 10
"""Speed of the film. Every picture is one step, so the film is in slow motion."""

HELD = 5
"""Number of pictures for which the film stands still, at its start and again at its end."""

OUT_OF_SIGHT = 20.0
"""The film leaves out positions in which a body has moved this many times the model's extent."""

MOST_SECONDS = 1.0
"""Longest simulated time (s) for which the film waits for the blow-up under the recorded action."""


@dataclasses.dataclass(frozen=True)
class Args(OwnCodeArgs):
    """Show the last worlds of a run that blew up: the states before, and what blows up when the step is repeated."""

    run_dir: tyro.conf.Positional[pathlib.Path]
    """the run directory"""
    film: pathlib.Path | None = None
    """film one blow-up to this file (.mp4, .gif, .png, or .html for a browser): the steps before it, then each of its
    physics steps in C MuJoCo"""
    number: int = 1
    """which blow-up to film, by its number in the table"""
    physics: Literal["mjx", "warp", "native"] | None = None
    """physics engine in which to repeat the step; default: that of the run"""
    width: int = 640
    """width of the picture (pixels)"""
    height: int = 480
    """height of the picture (pixels)"""


class Offence(NamedTuple):
    """The first quantity with a number that is not within `LIMIT` after a step.

    Attributes:
      name: of the quantity, such as ``physics.qpos``.
      value: its largest magnitude; NaN if it holds a NaN.
    """

    name: str
    value: float


def inspect(args: Args) -> None:
    """Loads the evidence, repeats the steps, prints a table, and films one blow-up if asked to."""
    load_single_config(args.run_dir, **args.own)
    if args.film is None and not (args.run_dir / DUMP_FILE).exists():
        print(f"No world of {args.run_dir} has blown up.")
        return
    env = load_problem(args.run_dir, args.physics, **args.own).env
    blow_ups = load_dump(args.run_dir, blow_up_shapes(env))
    kept = int(blow_ups.count)
    if not 1 <= args.number <= kept:
        raise UserError(f"--number must be from 1 to {kept}, not {args.number}.")
    if args.film is not None:
        check_film(args.film, args.width, args.height)
    console = Console()
    say(
        console,
        f"{env.name}, {env.engine_name} physics: the last {kept} recorded blow-ups "
        "(largest magnitudes in the state before the step; what is not finite after it)",
    )
    console.print(_table(blow_ups, replay(env, blow_ups)))
    if args.film is not None:
        one = dataclasses.replace(blow_ups, count=jnp.ones(kept, jnp.int32))
        _film(args, env, jax.tree.map(lambda x: x[args.number - 1], one))


def blow_up_shapes(env: envs.Env) -> BlowUps:
    """The structure and the shapes of the blow-ups that a run on this task records. Nothing is computed."""

    def record(key: jax.Array) -> BlowUps:
        worlds = VectorEnv(env, num_envs=1, pool_size=1)
        return worlds.reset(worlds.draw_starts(key)).blow_ups

    return jax.eval_shape(record, jax.random.key(0))


def replay(env: Any, blow_ups: BlowUps) -> list[Offence | None]:
    """Repeats the recorded steps, with the same random numbers.

    Returns:
      For each blow-up what went wrong; None if nothing did.
    """

    @jax.jit
    def again(physics: Any, info: dict[str, Any], action: jax.Array) -> State:
        def one(physics: Any, info: dict[str, Any], action: jax.Array) -> State:
            start = env.reset(jax.random.key(0))
            return env.step(dataclasses.replace(start, physics=physics, info=info), action)

        return jax.vmap(one)(physics, info, action)

    after = again(blow_ups.physics, blow_ups.info, blow_ups.action)
    found: list[Offence | None] = [None] * len(blow_ups.action)
    parts = (
        ("action", blow_ups.action),
        ("physics", after.physics),
        ("obs", after.obs),
        ("reward", after.reward),
        ("info", after.info),
    )
    for part, tree in parts:
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                continue
            name = ".".join(filter(None, (part, jax.tree_util.keystr(path, simple=True, separator="."))))
            for i, x in enumerate(np.asarray(leaf)):
                if found[i] is None and not _largest(x) <= LIMIT:
                    found[i] = Offence(name, _largest(x))
    return found


def positions_of(env: Any, blow_up: BlowUps) -> tuple[np.ndarray, int]:
    """The positions to film of one blow-up.

    After the state before the blow-up, C MuJoCo goes on under the recorded action.

    Args:
      env: the task, one on a MuJoCo model.
      blow_up: one of the recorded blow-ups, without their leading axis.

    Returns:
      Joint positions ``[n, nq]``: before the last environment steps, in the state before the blow-up, and after each physics
      step from there on, except those that are out of sight (`OUT_OF_SIGHT`). And the number of physics steps until the
      blow-up, 0 if there was none within `MOST_SECONDS`.
    """
    model = with_fields(env.make_engine(env.model, (), "native").model, own_fields(blow_up.info))
    data = mujoco.MjData(model)
    names = ("qpos", "qvel", "act", "qacc_warmstart")
    for name in names:
        getattr(data, name)[:] = getattr(blow_up.physics, name)
    data.ctrl[:] = env.to_ctrl(env.applied(blow_up.info, jnp.asarray(blow_up.action)))
    trail = np.asarray(blow_up.trail)[TRAIL - 1 - min(int(blow_up.steps), TRAIL - 1) :]
    positions = list(trail)
    mujoco.mj_kinematics(model, data)
    start, steps, blew_up = data.xpos.copy(), 0, False
    with silent():
        while not blew_up and steps * model.opt.timestep < MOST_SECONDS:
            mujoco.mj_step(model, data)
            steps += 1
            blew_up = not all(_largest(getattr(data, name)) <= LIMIT for name in names)
            if _largest(data.qpos) <= LIMIT:
                mujoco.mj_kinematics(model, data)
                if np.abs(data.xpos - start).max() < OUT_OF_SIGHT * model.stat.extent:
                    positions.append(data.qpos.copy())
    return np.stack(positions), steps if blew_up else 0


def _film(args: Args, env: Any, blow_up: BlowUps) -> None:
    assert args.film is not None
    if not isinstance(blow_up.physics, PhysicsState):
        raise UserError(f"{env.name} brings its own engine: its blow-ups can be neither repeated in C MuJoCo nor filmed.")
    if not np.isfinite(blow_up.action).all():
        raise UserError(f"The action of blow-up {args.number} is itself not finite: there is nothing to film.")
    positions, steps = positions_of(env, blow_up)
    # The camera stays where things began. If it saw everything, a body that flies away would be a dot.
    camera = overview(env.model, positions[:1])
    camera.distance *= 2
    film = write_film(
        args.film,
        env.model,
        np.concatenate([positions[:1].repeat(HELD, 0), positions, positions[-1:].repeat(HELD, 0)]),
        1 / PICTURES_PER_SECOND,
        camera=env.camera if env.camera != -1 and has_camera(env.model, env.camera) else camera,
        fields=own_fields(blow_up.info),
        width=args.width,
        height=args.height,
    )
    outcome = f"it blew up in physics step {steps}" if steps else f"it did not blow up within {MOST_SECONDS:g} s"
    before = min(int(blow_up.steps), TRAIL - 1)
    print(
        f"wrote {args.film}: {film}, in slow motion: {before} environment steps of "
        f"{env.dt:g} s, then physics steps of {env.model.opt.timestep:g} s in C MuJoCo, in which {outcome}"
    )


def _table(blow_ups: BlowUps, offences: list[Offence | None]) -> Table:
    table = Table("number", "world", "step of episode", "qpos", "qvel", "action", "after the step")
    for i, offence in enumerate(offences):
        before = [getattr(blow_ups.physics, name, None) for name in ("qpos", "qvel")] + [blow_ups.action]
        table.add_row(
            str(i + 1),
            str(blow_ups.world[i]),
            str(blow_ups.steps[i]),
            *("-" if x is None else f"{_largest(x[i]):.3g}" for x in before),
            f"{offence.name} {offence.value:.3g}" if offence else "all finite: it did not blow up again",
        )
    return table


def _largest(x: Any) -> float:
    """The largest magnitude in ``x``; NaN if it holds a NaN, 0 if it is empty."""
    return float(np.abs(np.asarray(x)).max(initial=0.0))


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, inspect, "python -m eval.inspect", args)


if __name__ == "__main__":
    sys.exit(main())

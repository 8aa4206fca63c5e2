"""``python -m eval.render RUN_DIR --out video.mp4``: films a trained policy, without a display; as .html, for a browser."""

import dataclasses
import pathlib
import sys
from typing import NamedTuple

import jax
import numpy as np
import tyro

from envs import State
from envs.command import UserError, check_seed, run_command
from envs.film import PAGE, camera_of, check_film, write_film
from envs.poses import own_fields, pose
from eval.restore import OwnCodeArgs, Restored, restore


@dataclasses.dataclass(frozen=True)
class Args(OwnCodeArgs):
    """Film one episode of a trained run.

    An --out ending in .png is a still from its middle, and one ending in .html a page in which a browser replays it.
    """

    run_dir: tyro.conf.Positional[pathlib.Path]
    """the run directory"""
    out: pathlib.Path | None = None
    """file to write: .mp4, .gif, .png or .html; default: videos/STEP.mp4 in the run directory"""
    step: int | None = None
    """which checkpoint (environment steps); default: the newest"""
    steps: int | None = None
    """film at most this many environment steps; default: a whole episode"""
    width: int = 640
    """width of the picture (pixels)"""
    height: int = 480
    """height of the picture (pixels)"""
    camera: str | None = None
    """a camera of the model, by name or number; -1: one that sees everything; default: the task's own"""
    show_return: bool = False
    """write the return so far into the picture; a page always shows it"""
    seed: int = 0
    """seed of the start state"""


class Played(NamedTuple):
    """An episode, or its beginning, of n environment steps.

    Attributes:
      positions: ``[n + 1, nq]`` or more numbers: what `envs.poses.pose` gives for each state.
      returns: ``[n + 1]`` the sum of the rewards before each state.
      fields: those fields of the model that this world has of its own, by name.
    """

    positions: np.ndarray
    returns: np.ndarray
    fields: dict[str, np.ndarray]


def render(args: Args) -> None:
    """Restores the policy, plays one episode, and writes the film.

    Raises:
      UserError: there is no such run or checkpoint, the film cannot be made, or ``steps`` is below 1.
    """
    if args.steps is not None and args.steps < 1:
        raise UserError(f"--steps must be at least 1, not {args.steps}.")
    check_seed(args.seed)
    restored = restore(args.run_dir, args.step, **args.own)
    out = args.out or args.run_dir / "videos" / f"{restored.step}.mp4"
    check_film(out, args.width, args.height)
    env = restored.problem.env
    camera = camera_of(env.model, env.camera, args.camera)
    played = play(restored, args.steps or env.episode_length, args.seed)
    film = write_film(
        out,
        env.model,
        played.positions,
        env.dt,
        camera=camera,
        fields=played.fields,
        width=args.width,
        height=args.height,
        returns=played.returns if args.show_return or out.suffix == PAGE else None,
    )
    print(f"wrote {out}: {film}")


def play(restored: Restored, steps: int, seed: int) -> Played:
    """Plays one episode until its end, but at most ``steps`` environment steps."""
    env, policy = restored.problem.env, restored.policy

    def step(state: State, _: None) -> tuple[State, tuple[jax.Array, jax.Array, jax.Array]]:
        state = env.step(state, policy(jax.tree.map(lambda x: x[None], state.obs))[0])
        return state, (pose(env.model, state), state.reward, state.terminated | state.truncated)

    @jax.jit
    def episode(key: jax.Array) -> tuple[State, jax.Array, jax.Array, jax.Array]:
        state = env.reset(key)
        return state, *jax.lax.scan(step, state, length=min(steps, env.episode_length))[1]

    first, *later = episode(jax.random.key(seed))
    poses, rewards, ended = map(np.asarray, later)
    length = int(np.argmax(ended)) + 1 if ended.any() else len(ended)
    positions = np.concatenate([np.asarray(pose(env.model, first))[None], poses[:length]])
    returns = np.concatenate([[0.0], np.cumsum(rewards[:length], dtype=np.float64)])
    return Played(positions, returns, own_fields(first.info))


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, render, "python -m eval.render", args)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m eval.render RUN_DIR --out video.mp4``: films a trained policy, without a display."""

import dataclasses
import pathlib
import sys

import jax
import numpy as np
import tyro

from envs import State
from envs.command import UserError, check_seed, run_command
from envs.film import check_film, pose, write_film
from eval.restore import OwnCodeArgs, Restored, restore


@dataclasses.dataclass(frozen=True)
class Args(OwnCodeArgs):
    """Film one episode of a trained run; with an --out ending in .png, take a still from its middle."""

    run_dir: tyro.conf.Positional[pathlib.Path]
    """the run directory"""
    out: pathlib.Path | None = None
    """file to write: .mp4, .gif or .png; default: videos/STEP.mp4 in the run directory"""
    step: int | None = None
    """which checkpoint (environment steps); default: the newest"""
    steps: int | None = None
    """film at most this many environment steps; default: a whole episode"""
    width: int = 640
    """width of the picture (pixels)"""
    height: int = 480
    """height of the picture (pixels)"""
    seed: int = 0
    """seed of the start state"""


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
    positions, fields = play_positions(restored, args.steps or env.episode_length, args.seed)
    film = write_film(
        out, env.model, positions, env.dt, camera=env.camera, fields=fields, width=args.width, height=args.height
    )
    print(f"wrote {out}: {film}")


def play_positions(restored: Restored, steps: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Plays one episode, of at most ``steps`` environment steps.

    Returns:
      What `envs.film.pose` gives for each state of the n steps up to the episode's end, ``[n + 1, nq]`` or more numbers; and
      those fields of the model that this world has of its own, by name.
    """
    env, policy = restored.problem.env, restored.policy

    def step(state: State, _: None) -> tuple[State, tuple[jax.Array, jax.Array]]:
        state = env.step(state, policy(jax.tree.map(lambda x: x[None], state.obs))[0])
        return state, (pose(env.model, state), state.terminated | state.truncated)

    @jax.jit
    def play(key: jax.Array) -> tuple[State, jax.Array, jax.Array]:
        state = env.reset(key)
        return state, *jax.lax.scan(step, state, length=min(steps, env.episode_length))[1]

    first, qpos, ended = play(jax.random.key(seed))
    ended = np.asarray(ended)
    length = int(np.argmax(ended)) + 1 if ended.any() else len(ended)
    positions = np.concatenate([np.asarray(pose(env.model, first))[None], np.asarray(qpos)[:length]])
    return positions, {name: np.asarray(value) for name, value in first.info.get("model", {}).items()}


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, render, "python -m eval.render", args)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m envs.view NAME``: shows a task under random or zero actions, on the screen or, with ``--out``, as a film."""

import dataclasses
import os
import pathlib
import sys
import time
from typing import Literal

import jax
import numpy as np
import tyro

import envs
from envs.command import UserError, check_seed, run_command, user_errors
from envs.film import PAGE, camera_of, check_film, write_film
from envs.poses import own_fields, pose, set_pose


@dataclasses.dataclass(frozen=True)
class Args:
    """Look at a task."""

    name: tyro.conf.Positional[str]
    """the task, which may be in a file of your own: my_robot.py:Lift"""
    out: pathlib.Path | None = None
    """film to write (.mp4, .gif, .png, or .html for a browser) instead of opening a window"""
    actions: Literal["random", "zero"] = "random"
    """which actions the body takes"""
    steps: int = 300
    """length of the film unless the episode ends before (environment steps)"""
    seed: int = 0
    """seed of the start state and the actions"""
    width: int = 640
    """width of the film (pixels)"""
    height: int = 480
    """height of the film (pixels)"""
    camera: str | None = None
    """a camera of the model for the film, by name or number; -1: one that sees everything; default: the task's own"""


def view(args: Args) -> None:
    """Opens the window or writes the film.

    Raises:
      UserError: there is no such task, it cannot be shown on this machine, or ``steps`` is below 1.
    """
    if args.steps < 1:
        raise UserError(f"--steps must be at least 1, not {args.steps}.")
    check_seed(args.seed)
    with user_errors():
        env = envs.make(args.name, physics="native")
    if args.out is not None:
        check_film(args.out, args.width, args.height)
        camera = camera_of(env.model, env.camera, args.camera)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    rng = np.random.default_rng(args.seed)

    def action() -> np.ndarray:
        return rng.uniform(-1, 1, env.action_size) if args.actions == "random" else np.zeros(env.action_size)

    state = reset(jax.random.key(args.seed))
    if args.out is not None:
        positions, returns = [np.asarray(pose(env.model, state))], [0.0]
        while len(positions) <= args.steps and not state.terminated:
            state = step(state, action())
            positions.append(np.asarray(pose(env.model, state)))
            returns.append(returns[-1] + float(state.reward))
        film = write_film(
            args.out,
            env.model,
            np.stack(positions),
            env.dt,
            camera=camera,
            fields=own_fields(state.info),
            width=args.width,
            height=args.height,
            returns=np.array(returns) if args.out.suffix == PAGE else None,
        )
        print(f"wrote {args.out}: {film}")
        return

    if sys.platform.startswith("linux") and "DISPLAY" not in os.environ:
        raise UserError("there is no display here: write a film with --out film.mp4.")
    import mujoco.viewer

    data = mujoco.MjData(env.model)
    episode = 0
    with mujoco.viewer.launch_passive(env.model, data) as window:
        while window.is_running():
            began = time.monotonic()
            if state.terminated:
                episode += 1
                state = reset(jax.random.key(args.seed + episode))
            state = step(state, action())
            set_pose(data, np.asarray(pose(env.model, state)))
            mujoco.mj_forward(env.model, data)
            window.sync()
            time.sleep(max(0.0, env.dt - (time.monotonic() - began)))


def main(args: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    return run_command(Args, view, "python -m envs.view", args)


if __name__ == "__main__":
    sys.exit(main())

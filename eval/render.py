"""``python -m eval.render RUN_DIR --out video.mp4``: films a trained policy, without a display."""

import dataclasses
import os
import pathlib
import sys
import warnings

import imageio.v3 as iio
import jax
import mujoco
import numpy as np
import tyro

from eval.command import run_command
from eval.restore import Restored, restore
from train.errors import UserError


@dataclasses.dataclass(frozen=True)
class Args:
    """Film one episode of a trained run; with an --out ending in .png, take a still from its middle."""

    run_dir: tyro.conf.Positional[pathlib.Path]
    """the run directory"""
    out: pathlib.Path | None = None
    """file to write: .mp4, .gif or .png; default: videos/STEP.mp4 in the run directory"""
    step: int | None = None
    """which checkpoint (environment steps); default: the newest"""
    steps: int | None = None
    """longest film (environment steps); default: a whole episode"""
    width: int = 640
    """width of the picture (pixels)"""
    height: int = 480
    """height of the picture (pixels)"""
    seed: int = 0
    """seed of the start state"""


def render(args: Args) -> None:
    """Restores, plays one episode, writes the film."""
    if args.steps is not None and args.steps < 1:
        raise UserError(f"--steps must be at least 1, not {args.steps}.")
    restored = restore(args.run_dir, args.step)
    out = args.out or args.run_dir / "videos" / f"{restored.step}.mp4"
    if out.suffix not in (".mp4", ".gif", ".png"):
        raise UserError(f"--out {out} must end in .mp4, .gif or .png.")
    positions = play_positions(restored, args.steps or restored.learner.env.episode_length, args.seed)
    if out.suffix == ".png":
        positions = positions[len(positions) // 2 :][:1]
    frames = draw(restored, positions, args.width, args.height)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(out, frames, fps=round(1 / restored.learner.env.dt))
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}.") from error
    print(f"wrote {out}: {len(frames)} frames of {args.width} x {args.height}")


def play_positions(restored: Restored, steps: int, seed: int) -> np.ndarray:
    """Joint positions ``[steps + 1, nq]`` of one episode, up to its end."""
    env, policy = restored.learner.env, restored.learner.policy(restored.actor)

    def step(state, _):  # type: ignore[no-untyped-def]
        state = env.step(state, policy(state.obs[None])[0])
        return state, (state.physics.qpos, state.terminated | state.truncated)

    @jax.jit
    def play(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        state = env.reset(key)
        return state.physics.qpos, *jax.lax.scan(step, state, length=min(steps, env.episode_length))[1]

    first, qpos, ended = jax.device_get(play(jax.random.key(seed)))
    length = int(np.argmax(ended)) + 1 if ended.any() else len(ended)
    return np.concatenate([first[None], qpos[:length]])


def draw(restored: Restored, positions: np.ndarray, width: int, height: int) -> list[np.ndarray]:
    """A picture ``[height, width, 3]`` uint8 of the model in each of ``positions`` ``[n, nq]``.

    Raises:
      UserError: this machine cannot draw.
    """
    env = restored.learner.env
    model = env.physics.model
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    data = mujoco.MjData(model)
    try:
        renderer = mujoco.Renderer(model, height, width)
    except Exception as error:  # whatever the GL driver meets
        raise UserError(
            f"No picture can be drawn here: {type(error).__name__} from OpenGL ({os.environ.get('MUJOCO_GL', 'default')}). "
            "Without a GPU install Mesa (Debian: libegl1 libopengl0 libgl1-mesa-dri)."
        ) from error
    frames = []
    with renderer:
        for qpos in positions:
            data.qpos[:] = qpos
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera=env.camera)
            frames.append(renderer.render().copy())
    return frames


def _write(out: pathlib.Path, frames: list[np.ndarray], fps: int) -> None:
    if out.suffix == ".png":
        iio.imwrite(out, frames[0])
    elif out.suffix == ".gif":
        iio.imwrite(out, np.stack(frames), duration=1000 / fps, loop=0)
    else:
        with warnings.catch_warnings():
            # The encoder is another program: the fork that JAX warns of is followed by an exec at once.
            warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
            iio.imwrite(out, np.stack(frames), fps=fps, macro_block_size=1)


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, render, "python -m eval.render", args)


if __name__ == "__main__":
    sys.exit(main())

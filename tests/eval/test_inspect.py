"""`eval.inspect`: blow-ups are repeated and filmed."""

import dataclasses
import io
import json
import pathlib
from typing import Any

import gymnasium
import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import envs
from envs.command import UserError
from eval import inspect
from eval.inspect import blow_up_shapes
from tests.runs import tiny_config
from train.config import load_config
from train.divergence import DUMP_FILE, load_dump
from train.loop import train
from train.problem import make_problem


@pytest.fixture(scope="module")
def exploded(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A run that stopped: its timestep is ten times too long, so the half-cheetah blows up within a dozen steps."""
    folder = tmp_path_factory.mktemp("exploded")
    assets = pathlib.Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
    text = (assets / "half_cheetah.xml").read_text()
    assert 'timestep="0.01"' in text
    (folder / "coarse.xml").write_text(text.replace('timestep="0.01"', 'timestep="0.1"'))
    args = envs.task("half_cheetah").Args(xml_file=str(folder / "coarse.xml"), frame_skip=1)
    config = tiny_config(folder / "run", "ddpg", env_args=args, randomization=envs.Randomization(action_delay=1))
    config = dataclasses.replace(config, env="half_cheetah")
    with pytest.raises(UserError, match=r"python -m eval\.inspect"):
        train(config, console=Console(file=io.StringIO()))
    return folder / "run"


def test_a_blow_up_is_repeated(exploded: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([str(exploded)]) == 0
    text = capsys.readouterr().out
    assert "half_cheetah, native physics: the last " in text
    assert "physics.qpos" in text
    assert "did not blow up again" not in text


def test_a_healthy_run_has_nothing_to_inspect(tiny_run: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main([str(tiny_run)]) == 0
    assert capsys.readouterr().out == f"No world of {tiny_run} has blown up.\n"


def test_what_does_not_blow_up_again_is_said(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = envs.MujocoTask.step

    def step(self: envs.MujocoTask, state: envs.State, action: jax.Array) -> envs.State:
        new = healthy(self, state, action)
        return dataclasses.replace(new, reward=jnp.where(action[0] > 0, jnp.nan, new.reward))

    with monkeypatch.context() as patch:
        patch.setattr(envs.MujocoTask, "step", step)
        with pytest.raises(UserError):
            train(tiny_config(tmp_path, "ddpg"), console=Console(file=io.StringIO()))
    assert inspect.main([str(tmp_path)]) == 0
    assert "it did not blow up again" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def loaded(run_dir: pathlib.Path) -> tuple[Any, Any]:
    env = make_problem(load_config(run_dir)).env
    return env, load_dump(run_dir, blow_up_shapes(env))


def test_positions_lead_up_to_the_blow_up(exploded: pathlib.Path) -> None:
    env, blow_ups = loaded(exploded)
    first = jax.tree.map(lambda x: x[0], dataclasses.replace(blow_ups, count=blow_ups.steps))
    positions, steps = inspect.positions_of(env, first)
    before = int(first.steps)
    assert 0 < steps <= env.substeps
    np.testing.assert_array_equal(positions[before], first.physics.qpos)
    assert len(positions) <= before + 1 + steps
    # The trail begins at the episode's start, near the reference pose, and leads away from it.
    assert before > 3
    assert np.abs(positions[0]).max() < 0.2
    assert np.abs(positions[before]).max() > 20


def test_a_film_shows_the_blow_up(exploded: pathlib.Path, draws: None, tmp_path: pathlib.Path) -> None:
    film = tmp_path / "film.gif"
    assert inspect.main([str(exploded), "--film", str(film), "--width", "160", "--height", "128"]) == 0
    frames = iio.imread(film)
    assert frames.shape[1:3] == (128, 160)
    assert len(frames) > 2 * inspect.HELD
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50


def test_a_page_shows_the_blow_up(exploded: pathlib.Path, tmp_path: pathlib.Path) -> None:
    page = tmp_path / "film.html"
    assert inspect.main([str(exploded), "--film", str(page)]) == 0
    scene = json.loads(page.read_text().split('id="scene">')[1].split("</script>")[0])
    assert scene["frames"] > 2 * inspect.HELD
    assert scene["returns"] is None


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["{tmp}"], "is not a run directory"),
        (["{healthy}", "--film", "film.mp4"], "no world of this run has blown up"),
        (["{run}", "--number", "9"], "--number must be from 1 to"),
        (["{run}", "--number", "0"], "--number must be from 1 to"),
        (["{run}", "--film", "film.avi"], "must end in .mp4, .gif, .png or .html"),
        (["{copy}"], "is damaged"),
    ],
)
def test_mistakes_are_one_sentence(
    args: list[str],
    sentence: str,
    exploded: pathlib.Path,
    tiny_run: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_bytes((exploded / "config.json").read_bytes())
    (copy / DUMP_FILE).write_bytes((exploded / DUMP_FILE).read_bytes()[:-100])
    paths = {"tmp": tmp_path, "healthy": tiny_run, "run": exploded, "copy": copy}
    assert inspect.main([arg.format(**paths) for arg in args]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1

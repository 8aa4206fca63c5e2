"""Model files: the one that a user names is the one that is loaded, and it travels with the run."""

import json
import pathlib
import shutil

import numpy as np
import pytest

import envs
from envs.command import UserError
from envs.tasks.model_files import ASSETS
from eval import run
from eval.restore import load_problem, restore
from tests.runs import TINY_FLAGS, quiet, tiny_config, untimed
from train.config import load_config
from train.loop import train
from train.model_file import MODEL_FILE, ORIGIN_FILE, load_saved_model, save_model
from train.run import main

ARGS = envs.task("inverted_pendulum").Args

BALL = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
"""a mesh, as an OBJ file"""


def write_pendulum(folder: pathlib.Path, gravity: float) -> pathlib.Path:
    """Gymnasium's pendulum with another gravity, which an included file states, and a mesh."""
    text = (ASSETS / "inverted_pendulum.xml").read_text()
    mesh = '<asset><mesh name="ball" file="parts/ball.obj" scale="0.1 0.1 0.1"/></asset>'
    text = text.replace("<worldbody>", f'<include file="parts/world.xml"/>{mesh}<worldbody>', 1)
    text = text.replace("</body>", '<geom type="mesh" mesh="ball" contype="0" conaffinity="0"/></body>', 1)
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "ball.obj").write_text(BALL)
    (folder / "parts" / "world.xml").write_text(f'<mujoco><option gravity="0 0 {gravity}"/></mujoco>')
    (folder / "inverted_pendulum.xml").write_text(text)
    return folder / "inverted_pendulum.xml"


def gravity_of(name: str) -> float:
    return envs.make("inverted_pendulum", ARGS(xml_file=name), physics="native").model.opt.gravity[2]


def test_a_path_that_exists_wins_over_the_assets(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """openai/mujoco-py#327: which of two files of one name is loaded?"""
    write_pendulum(tmp_path / "here", -1.0)
    monkeypatch.chdir(tmp_path / "here")
    for name in ("inverted_pendulum.xml", "./inverted_pendulum.xml", str(tmp_path / "here" / "inverted_pendulum.xml")):
        assert gravity_of(name) == -1
    assert envs.make("inverted_pendulum", physics="native").model_file == ASSETS / "inverted_pendulum.xml"
    monkeypatch.chdir(tmp_path)
    assert gravity_of("inverted_pendulum.xml") == -9.81
    with pytest.raises(ValueError, match=f"there is no model file {tmp_path}/inverted_pendulum.xml"):
        gravity_of("./inverted_pendulum.xml")


def test_a_run_takes_its_model_along(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """nerfstudio PR#3485, BenchMARL PR#226: a run could only be loaded from the folder that it was trained in."""
    here, there = tmp_path / "here", tmp_path / "there"
    file = write_pendulum(here, -2.0)
    write_pendulum(there, -30.0)
    monkeypatch.chdir(here)
    flags = [*TINY_FLAGS, "--env", "inverted_pendulum", "--env.xml-file", "inverted_pendulum.xml"]
    for name in ("run", "uninterrupted"):
        assert main([*flags, "--run-dir", str(tmp_path / name), *(["--total-steps", "80"] if name == "run" else [])]) == 0
    assert f"model {file};" in capsys.readouterr().out.replace("\n", "")
    assert load_config(tmp_path / "run").env_args.xml_file == str(file)

    def scores(run_dir: pathlib.Path) -> list[str]:
        found = []
        for simulator in ("same", "gymnasium"):
            assert run.main([str(run_dir), "--episodes", "2", "--json", "--simulator", simulator]) == 0
            found.append(capsys.readouterr().out)
        return found

    scored = scores(tmp_path / "run")
    monkeypatch.chdir(there)
    assert scores(tmp_path / "run") == scored
    world = here / "parts" / "world.xml"
    world.write_text(world.read_text().replace("-2.0", "-30.0"))
    assert scores(tmp_path / "run") == scored
    moved = shutil.copytree(tmp_path / "run", tmp_path / "moved")
    shutil.move(here, tmp_path / "gone")
    assert scores(moved) == scored
    shutil.move(tmp_path / "gone", here)

    capsys.readouterr()
    assert main(["--run-dir", str(tmp_path / "run"), "--resume", *TINY_FLAGS, "--total-steps", "160"]) == 0
    assert f"{world} was edited since the run began; the run goes on with its own model" in capsys.readouterr().err
    ours, uninterrupted = untimed(tmp_path / "run"), untimed(tmp_path / "uninterrupted")
    assert ours[-1] == uninterrupted[-1]  # the first lines differ: the run that ended there was evaluated
    assert restore(tmp_path / "run").problem.env.model.opt.gravity[2] == -2


def test_the_saved_model_is_the_same_or_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface/deep-rl-class#665: what a run was trained on has to be in what is shared of it."""
    file = write_pendulum(tmp_path / "here", -2.0)
    tiny_config(env_args=ARGS(xml_file=str(file))).save(tmp_path)
    env = load_problem(tmp_path).env  # a run of an earlier version has no saved model
    save_model(tmp_path, env)
    saved = load_saved_model(tmp_path)
    for name in ("body_mass", "mesh_vert", "geom_quat", "names", "qpos0"):
        np.testing.assert_array_equal(getattr(saved, name), getattr(env.model, name))
    origin = json.loads((tmp_path / ORIGIN_FILE).read_text())
    assert {pathlib.Path(path).name for path in origin["sources"]} == {"inverted_pendulum.xml", "world.xml", "ball.obj"}

    monkeypatch.setattr("mujoco.__version__", "0.0.1")
    assert load_saved_model(tmp_path) is None  # its source is as it was, so that it can be compiled again
    file.write_text(file.read_text() + " ")
    with pytest.raises(UserError, match=r"cannot be compiled again, because \S+inverted_pendulum.xml was edited"):
        load_saved_model(tmp_path)
    monkeypatch.undo()

    data = (tmp_path / MODEL_FILE).read_bytes()
    for damaged in (data[:-1], data[:999] + bytes([data[999] ^ 1]) + data[1000:], b""):
        (tmp_path / MODEL_FILE).write_bytes(damaged)
        with pytest.raises(UserError, match=rf"{MODEL_FILE} is damaged: it has changed since it was written\.$"):
            load_saved_model(tmp_path)
    (tmp_path / MODEL_FILE).unlink()
    with pytest.raises(UserError, match=r"cannot be read: No such file"):
        load_saved_model(tmp_path)
    for text in ("", "[]", '{"mujoco": 1}', "\udcff"):
        (tmp_path / ORIGIN_FILE).write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(UserError, match=rf"{ORIGIN_FILE} is damaged"):
            load_saved_model(tmp_path)


@pytest.mark.usefixtures("programs")
def test_every_seed_has_the_model(tmp_path: pathlib.Path) -> None:
    """A seed is a run directory of its own, and can be moved alone."""
    train(tiny_config(tmp_path / "run", total_steps=80, num_seeds=2), console=quiet())
    for name in ("run", "run/seed-0", "run/seed-1"):
        assert load_saved_model(tmp_path / name) is not None

"""Environments of Brax and Playground as our tasks: they give the same numbers, and final observations are kept."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs import view
from envs.adapters.foreign import PlaygroundArgs
from train.model_file import save_model

# Brax itself uses MJX in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing .* directly from `Data` is deprecated:DeprecationWarning")


@pytest.fixture(scope="module", params=["brax/inverted_pendulum", "playground/CartpoleBalance"])
def env(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip({"brax": "brax", "playground": "mujoco_playground"}[request.param.split("/")[0]])
    return envs.make(request.param)


@pytest.fixture(scope="module")
def step(env: Any) -> Any:
    """The jitted step of one world, compiled once."""
    return jax.jit(env.step)


def test_a_run_of_it_holds_no_model(env: Any, tmp_path: pathlib.Path) -> None:
    assert isinstance(env.model, mujoco.MjModel)
    save_model(tmp_path, env)
    assert not list(tmp_path.iterdir())


def test_it_is_the_bare_environment(env: Any, step: Any) -> None:
    key, action = jax.random.key(3), jnp.full((1,), 0.3)
    state = jax.jit(env.reset)(key)
    theirs = jax.jit(env.env.reset)(key)
    their_step = jax.jit(env.env.step)
    for _ in range(3):
        np.testing.assert_array_equal(state.obs, theirs.obs)
        np.testing.assert_array_equal(state.reward, theirs.reward)
        assert bool(state.terminated) == bool(theirs.done)
        assert not state.truncated
        state, theirs = step(state, action), their_step(theirs, action)
    assert (env.obs_size, env.action_size, env.episode_length) == (theirs.obs.shape[0], 1, 1000)
    assert env.engine_name == "its own"
    assert state.physics.qpos.shape == (env.model.nq,)


def test_many_worlds_keep_their_final_observations(env: Any, step: Any) -> None:
    worlds = envs.VectorEnv(env, 4, 32)
    state = worlds.reset(jax.jit(worlds.draw_starts)(jax.random.key(0)))
    step_all = jax.jit(worlds.step)
    ended, last = 0, state
    for t in range(60):
        state, row, stats = step_all(state, jnp.full((4, 1), (-1.0) ** (t // 30)))
        assert stats.diverged == 0
        for world in np.flatnonzero(row.done):
            ended += 1
            before = jax.tree.map(lambda x, w=world: x[w], last.worlds)
            final = step(before, row.action[world]).obs
            np.testing.assert_allclose(state.worlds.obs[world], final, rtol=1e-4, atol=1e-5)
            assert state.starts_episode[world]
        last = state
    assert ended or env.name.startswith("playground")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [("brax/antt", "no environment 'antt'; did you mean ant"), ("playground/Cartpole", "did you mean Cartpole")],
)
def test_a_misspelt_name_is_answered_with_the_nearest(wrong: str, message: str) -> None:
    pytest.importorskip({"brax": "brax", "playground": "mujoco_playground"}[wrong.split("/")[0]])
    with pytest.raises(ValueError, match=message):
        envs.make(wrong)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mujoco_playground", None)
    with pytest.raises(ValueError, match=r"needs Playground, .*: pip install 'mjx-tecrl\[playground\]'"):
        envs.make("playground/CartpoleBalance")


def test_a_robot_that_is_not_installed_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a network, or without git, Playground's robots ended in a traceback. Nothing is downloaded any more."""
    mjx_env = pytest.importorskip("mujoco_playground._src.mjx_env")
    own = tmp_path / "mujoco_menagerie"
    monkeypatch.setattr(mjx_env, "MENAGERIE_PATH", own)
    monkeypatch.setattr("envs.menagerie.PACKAGES", ())
    monkeypatch.setattr(mjx_env, "_clone_with_progress", lambda *args: pytest.fail("it downloads"))
    assert view.main(["playground/Go1JoystickFlatTerrain", "--out", str(tmp_path / "film.png")]) == 2
    [sentence] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert sentence == (
        "error: playground/Go1JoystickFlatTerrain needs MuJoCo Menagerie's robots, which are not installed: "
        "pip install 'mjx-tecrl[menagerie]', or train with --env.menagerie FOLDER, a checkout."
    )
    assert own == mjx_env.MENAGERIE_PATH


def test_a_folder_without_the_robot_is_refused_in_a_sentence(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("mujoco_playground")
    with pytest.raises(ValueError, match=f"env.menagerie is no checkout .*: there is no folder {tmp_path}/unitree_go1"):
        envs.make("playground/Go1JoystickFlatTerrain", PlaygroundArgs(menagerie=tmp_path))


def test_warp_is_refused_in_a_sentence() -> None:
    """`VectorEnv.reset` ended in a traceback: some arrays of such a state have no axis of worlds."""
    with pytest.raises(ValueError, match=r"env.impl must be jax: under warp, .* cannot be reset one by one"):
        PlaygroundArgs(impl="warp")


def test_randomization_is_refused() -> None:
    pytest.importorskip("brax")
    with pytest.raises(ValueError, match="brings its own engine"):
        envs.make("brax/inverted_pendulum", randomization=envs.Randomization(friction=(0.5, 1.0)))

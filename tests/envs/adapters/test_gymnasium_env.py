"""One world of our tasks as Gymnasium's environment, under Gymnasium's checker and wrappers."""

import pathlib

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import envs
from tests.runs import OWN_TASK


@pytest.mark.parametrize("name", ["inverted_pendulum", "hopper", "reacher"])
@pytest.mark.filterwarnings("ignore:.*A Box observation space (min|max)imum value is .*infinity.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*(render mode|rendering)s? .*:UserWarning")
def test_gymnasiums_checker_passes(name: str) -> None:
    check_env(gymnasium.make(f"mjx_tecrl/{name}", physics="native").unwrapped, skip_render_check=True)


@pytest.fixture(scope="module")
def env() -> gymnasium.Env:
    settings = {"physics": "native", "width": 32, "height": 24, "render_mode": "rgb_array"}
    return gymnasium.make("mjx_tecrl/inverted_pendulum", max_episode_steps=6, **settings)


def test_it_is_gymnasiums_own_environment(env: gymnasium.Env) -> None:
    reference = gymnasium.make("InvertedPendulum-v5").unwrapped
    obs, _ = env.reset(seed=1)
    reference.reset()
    reference.set_state(obs[:2].astype(float), obs[2:].astype(float))
    for _ in range(5):
        action = np.array([0.02], np.float32)
        obs, reward, terminated, truncated, info = env.step(action)
        expected, *outcome, _ = reference.step(3.0 * action)
        np.testing.assert_allclose(obs, expected, rtol=1e-3, atol=1e-5)
        assert [reward, terminated, truncated] == outcome
        assert info == {"diverged": False}
    assert env.step(action)[2:4] == (False, True)  # Gymnasium's wrapper applies the limit


def test_start_states_follow_from_the_seed(env: gymnasium.Env) -> None:
    starts = [env.reset(seed=seed)[0] for seed in (1, None, 1, None, 2)]
    np.testing.assert_array_equal(starts[0], starts[2])
    np.testing.assert_array_equal(starts[1], starts[3])
    assert len({tuple(start) for start in starts}) == 3
    with pytest.raises(ValueError, match=r"actions must be float32 of shape \(1, 1\), not float32 of shape \(1, 2\)"):
        env.step(np.zeros(2, np.float32))


def test_a_blow_up_ends_the_episode(env: gymnasium.Env) -> None:
    with pytest.raises(ResetNeeded):
        gymnasium.make(env.spec).unwrapped.step(np.zeros(1, np.float32))
    last, _ = env.reset(seed=0)
    obs, reward, terminated, truncated, info = env.step(np.full(1, np.nan, np.float32))
    np.testing.assert_array_equal(obs, last)
    assert (reward, terminated, truncated, info) == (0.0, False, True, {"diverged": True})
    with pytest.raises(ResetNeeded, match="an episode ended"):
        env.step(np.zeros(1, np.float32))


@pytest.mark.usefixtures("draws")
def test_gymnasiums_own_wrappers_run(env: gymnasium.Env) -> None:
    low, high = np.zeros(1, np.float32), np.ones(1, np.float32)
    wrapped = wrappers.ClipAction(wrappers.RescaleAction(wrappers.RecordEpisodeStatistics(env), low, high))
    wrapped = wrappers.FlattenObservation(wrappers.FrameStackObservation(wrappers.TimeAwareObservation(wrapped), 2))
    wrapped = wrappers.RenderCollection(wrappers.NormalizeReward(wrappers.NormalizeObservation(wrapped)))
    obs, _ = wrapped.reset(seed=0)
    steps, ended = 0, False
    while not ended:
        obs, _, terminated, truncated, info = wrapped.step(np.full(1, 0.5, np.float32))
        steps, ended = steps + 1, terminated or truncated
    assert obs.shape == (10,)
    assert (info["episode"]["l"], info["episode"]["r"]) == (steps, steps)
    assert [frame.shape for frame in wrapped.render()] == [(24, 32, 3)] * (steps + 1)


def test_a_task_in_a_file_of_ones_own(tmp_path: pathlib.Path) -> None:
    (tmp_path / "my_robot.py").write_text(OWN_TASK)
    envs.register("mine/Lift-v0", f"{tmp_path}/my_robot.py:Lift", 30)
    try:
        lift = gymnasium.make("mine/Lift-v0")
        assert (lift.unwrapped.observation_space.shape, lift.spec.max_episode_steps) == ((2,), 30)
        assert gymnasium.make_vec("mine/Lift-v0", num_envs=2).env.episode_length == 30
    finally:
        del gymnasium.registry["mine/Lift-v0"]

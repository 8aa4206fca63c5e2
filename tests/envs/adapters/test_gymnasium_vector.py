"""Our tasks as Gymnasium's vector environment, checked against Gymnasium's own and against `envs.VectorEnv`."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import envs
from envs.adapters.gymnasium_vector import GymnasiumVectorEnv


@pytest.fixture(scope="module")
def vector() -> GymnasiumVectorEnv:
    return GymnasiumVectorEnv(envs.make("inverted_pendulum", physics="native"), 6)


def test_spaces(vector: GymnasiumVectorEnv) -> None:
    obs, infos = vector.reset(seed=1)
    assert infos == {}
    assert vector.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    assert vector.observation_space.contains(obs)
    assert vector.action_space.shape == (6, 1)
    again, _ = vector.reset(seed=1)
    other, _ = vector.reset(seed=2)
    np.testing.assert_array_equal(obs, again)
    assert (obs != other).all()


class OneWorld(gymnasium.Env):
    """A vector environment of one world as a plain environment, which is what Gymnasium's checker expects."""

    def __init__(self, vector: GymnasiumVectorEnv):
        self.vector = vector
        self.observation_space, self.action_space = vector.single_observation_space, vector.single_action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        obs, infos = self.vector.reset(seed=seed, options=options)
        return obs[0], infos

    def step(self, action: np.ndarray) -> Any:
        obs, reward, terminated, truncated, _ = self.vector.step(action[None])
        return obs[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), {}


@pytest.mark.parametrize("name", ["inverted_pendulum", "hopper", "reacher"])
@pytest.mark.filterwarnings("ignore:.*A Box observation space (min|max)imum value is .*infinity.*:UserWarning")
def test_gymnasiums_checker_passes(name: str) -> None:
    check_env(OneWorld(GymnasiumVectorEnv(envs.make(name, physics="native"), 1)), skip_render_check=True)


def test_episodes_end_in_their_final_observation_and_start_anew_on_the_next_step(vector: GymnasiumVectorEnv) -> None:
    reference = gymnasium.make("InvertedPendulum-v5").unwrapped
    obs, _ = vector.reset(seed=0)
    rng = np.random.default_rng(0)
    ended = np.zeros(6, bool)
    episodes, starts = 0, []
    for _ in range(120):
        action = rng.uniform(-1, 1, (6, 1)).astype(np.float32)
        before = obs
        obs, reward, terminated, truncated, infos = vector.step(action)
        for world in range(6):
            if ended[world]:  # it starts a new episode, whatever the action was
                assert (reward[world], terminated[world], truncated[world]) == (0, False, False)
                assert np.abs(obs[world]).max() <= 0.01 + 1e-6
                starts.append(tuple(obs[world]))
                continue
            reference.set_state(before[world, :2].astype(float), before[world, 2:].astype(float))
            reference.data.qacc_warmstart[:] = 0
            expected, expected_reward, over, _, _ = reference.step(3.0 * action[world])
            np.testing.assert_allclose(obs[world], expected, rtol=1e-4, atol=1e-5)
            assert (reward[world], terminated[world]) == (expected_reward, over)
        assert not infos["diverged"].any()
        ended = terminated | truncated
        episodes += ended.sum()
    assert episodes > 30  # more than the pool of start states holds at once
    assert len(set(starts)) == len(starts)


def test_time_limits_truncate() -> None:
    env = envs.make("reacher", physics="native")
    vector = GymnasiumVectorEnv(env, 2)
    vector.reset(seed=0)
    flags = [vector.step(np.zeros((2, 2)))[2:4] for _ in range(52)]
    truncated = np.array([t for _, t in flags])
    assert not np.array([t for t, _ in flags]).any()
    assert np.flatnonzero(truncated[:, 0]).tolist() == [49]


def test_a_list_of_seeds_is_refused(vector: GymnasiumVectorEnv) -> None:
    with pytest.raises(ValueError, match="give one seed"):
        vector.reset(seed=[1, 2, 3, 4, 5, 6])


def test_actions_of_too_few_worlds_are_refused_in_a_sentence() -> None:
    vector = GymnasiumVectorEnv(envs.make("hopper", physics="native"), 4)
    vector.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must be float32 of shape \(4, 3\), not float32 of shape \(3,\)"):
        vector.step(np.zeros(3, np.float32))


@pytest.mark.parametrize("num_envs", [0, -1])
def test_there_must_be_a_world(num_envs: int) -> None:
    with pytest.raises(ValueError, match=f"num_envs must be at least 1, not {num_envs}"):
        GymnasiumVectorEnv(envs.make("inverted_pendulum", physics="native"), num_envs)

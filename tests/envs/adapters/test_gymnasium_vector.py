"""Our tasks as Gymnasium's vector environment, checked against Gymnasium's own and against `envs.VectorEnv`."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as wrappers

import envs
from envs.adapters.gymnasium_vector import GymnasiumVectorEnv


@pytest.fixture(scope="module")
def vector() -> GymnasiumVectorEnv:
    return GymnasiumVectorEnv(envs.make("inverted_pendulum", physics="native"), 6)


@pytest.fixture(scope="module")
def at_once() -> gymnasium.vector.VectorEnv:
    """Worlds that are reset on the step that ends their episode."""
    settings = {"physics": "native", "reset_noise_scale": 0.02, "max_episode_steps": 50, "autoreset_mode": "SameStep"}
    return gymnasium.make_vec("mjx_tecrl/inverted_pendulum", num_envs=6, **settings)


@pytest.fixture(scope="module")
def by_hand() -> GymnasiumVectorEnv:
    """Worlds that are reset by their user."""
    return GymnasiumVectorEnv("inverted_pendulum", 6, physics="native", autoreset_mode=AutoresetMode.DISABLED)


LEFT = -np.ones((6, 1), np.float32)
"""Actions under which poles fall within a few steps."""


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


def test_names_are_known_to_gymnasium(at_once: gymnasium.vector.VectorEnv) -> None:
    for task in (*envs.TASKS, *envs.ALIASES):
        spec = gymnasium.spec(envs.gymnasium_id(task))
        assert (spec.kwargs, spec.max_episode_steps) == ({"env": task}, envs.task(task).episode_length)
    assert at_once.spec is not None
    assert (at_once.spec.id, at_once.num_envs) == ("mjx_tecrl/inverted_pendulum", 6)
    assert at_once.metadata["render_fps"] == 25
    assert at_once.env.args.reset_noise_scale == 0.02


def test_episodes_that_end_start_anew_on_the_same_step(at_once: gymnasium.vector.VectorEnv) -> None:
    at_once.reset(seed=3)
    ended_before, episodes = np.zeros(6, bool), 0
    for _ in range(20):
        obs, _, terminated, truncated, infos = at_once.step(LEFT)
        ended = terminated | truncated
        assert not (ended & ended_before).any()  # a new episode goes on
        for world in np.flatnonzero(ended):
            assert np.abs(obs[world]).max() <= 0.02 + 1e-6
            assert np.abs(infos["final_obs"][world][1]) > 0.2
        if ended.any():
            np.testing.assert_array_equal(infos["_final_obs"], ended)
            assert [final is not None for final in infos["final_obs"]] == ended.tolist()
            assert not infos["final_info"]["diverged"].any()
        else:
            assert "final_obs" not in infos
        ended_before, episodes = ended, episodes + ended.sum()
    assert episodes > 12


@pytest.mark.parametrize("mode", ["vector", "at_once", "by_hand"])
def test_a_world_that_blows_up_ends_its_episode_as_a_limit_does(mode: str, request: pytest.FixtureRequest) -> None:
    """It was at its next start already, and the step that a client takes for the reset was a real one."""
    worlds = request.getfixturevalue(mode)
    last, _ = worlds.reset(seed=0)
    idle = np.zeros((6, 1), np.float32)
    actions = idle.copy()
    actions[2] = np.nan
    obs, reward, terminated, truncated, infos = worlds.step(actions)
    blown = np.arange(6) == 2
    for flags in (truncated, infos["diverged"]):
        np.testing.assert_array_equal(flags, blown)
    assert not terminated.any()
    assert (reward == ~blown).all()
    final = infos["final_obs"] if mode == "at_once" else obs
    np.testing.assert_array_equal(final[2], last[2])
    if mode == "by_hand":
        with pytest.raises(ResetNeeded, match=r"an episode ended in worlds \[2\]"):
            worlds.step(idle)
        again, _ = worlds.reset(options={"reset_mask": blown})
        assert (again[~blown] == obs[~blown]).all()
        assert (again[2] != last[2]).any()
        return
    obs, reward, _, truncated, infos = worlds.step(idle)
    assert not truncated.any() | infos["diverged"].any()
    assert reward[2] == (mode == "at_once")
    assert (obs[2] != last[2]).any()


def test_a_mask_resets_some_worlds_and_leaves_the_others(by_hand: GymnasiumVectorEnv) -> None:
    first, _ = by_hand.reset(seed=5)
    obs = by_hand.step(LEFT / 10)[0]
    mask = np.array([True, False] * 3)
    new, infos = by_hand.reset(options={"reset_mask": mask})
    assert infos == {}
    np.testing.assert_array_equal(new[~mask], obs[~mask])
    assert (np.abs(new[mask]) <= 0.01 + 1e-6).all()
    assert (new[mask] != first[mask]).any(axis=1).all()
    went_on = by_hand.step(LEFT / 10)[0]
    by_hand.reset(seed=5)
    by_hand.step(LEFT / 10)
    np.testing.assert_array_equal(went_on[~mask], by_hand.step(LEFT / 10)[0][~mask])
    once, _ = by_hand.reset(seed=6, options={"reset_mask": mask})
    again, _ = by_hand.reset(seed=6, options={"reset_mask": mask})
    np.testing.assert_array_equal(once[mask], again[mask])


@pytest.mark.parametrize("mask", [np.ones(5, bool), np.ones(6), np.zeros(6, bool)])
def test_masks_that_name_no_worlds_are_refused(by_hand: GymnasiumVectorEnv, mask: np.ndarray) -> None:
    by_hand.reset(seed=0)
    with pytest.raises(ValueError, match="reset_mask must be 6 values of type bool, at least one of them True"):
        by_hand.reset(options={"reset_mask": mask})


def test_gymnasiums_own_wrappers_run(vector: GymnasiumVectorEnv, at_once: gymnasium.vector.VectorEnv) -> None:
    rewarded = wrappers.NormalizeReward(wrappers.RecordEpisodeStatistics(vector))
    acted = wrappers.ClipAction(wrappers.RescaleAction(rewarded, np.zeros(1, np.float32), np.ones(1, np.float32)))
    env = wrappers.FlattenObservation(wrappers.NormalizeObservation(wrappers.DtypeObservation(acted, np.float64)))
    env.reset(seed=0)
    lengths: list[int] = []
    for _ in range(25):
        obs, reward, _, _, infos = env.step(np.zeros((6, 1)))
        assert obs.shape == (6, 4)
        assert np.isfinite(reward).all()
        if "episode" in infos:
            lengths += infos["episode"]["l"][infos["_episode"]].tolist()
            ended = infos["_episode"]  # of whose steps all but the last had a reward of 1
            np.testing.assert_array_equal(infos["episode"]["r"][ended], infos["episode"]["l"][ended] - 1)
    assert 0 < max(lengths) < 25
    listed = wrappers.DictInfoToList(wrappers.RecordEpisodeStatistics(at_once))
    listed.reset(seed=0)
    episodes = [info for _ in range(10) for info in listed.step(LEFT)[4] if "episode" in info]
    assert {info["final_obs"].shape for info in episodes} == {(4,)}


def test_a_copy_goes_on_as_the_original_does(vector: GymnasiumVectorEnv) -> None:
    vector.reset(seed=0)
    vector.step(LEFT)
    copies = [copy.deepcopy(vector), pickle.loads(pickle.dumps(vector))]
    for _ in range(12):  # some worlds are reset within
        expected = vector.step(LEFT)
        for one in copies:
            for mine, theirs in zip(one.step(LEFT)[:4], expected, strict=False):
                np.testing.assert_array_equal(mine, theirs)


def test_observations_for_critics_alone_make_a_dict() -> None:
    randomization = envs.Randomization(mass=(0.5, 2.0), privileged=True)
    env = envs.make("inverted_pendulum", physics="native", randomization=randomization)
    worlds = GymnasiumVectorEnv(env, 2)
    obs, _ = worlds.reset(seed=0)
    assert {name: value.shape for name, value in obs.items()} == {"state": (2, 4), "privileged": (2, env.privileged_size)}
    assert worlds.observation_space.contains(obs)
    assert worlds.observation_space.contains(worlds.step(np.zeros((2, 1)))[0])


def test_what_goes_with_a_name_is_refused_for_a_task_that_is_made(vector: GymnasiumVectorEnv) -> None:
    with pytest.raises(ValueError, match="inverted_pendulum is made already"):
        GymnasiumVectorEnv(vector.env, 2, physics="native")
    with pytest.raises(ValueError, match="render_mode must be None or rgb_array, not 'human'"):
        GymnasiumVectorEnv(vector.env, 2, render_mode="human")
    with pytest.raises(ValueError, match='with render_mode="rgb_array" to draw it'):
        vector.render()


@pytest.mark.usefixtures("draws")
def test_pictures_of_all_worlds(vector: GymnasiumVectorEnv) -> None:
    worlds = copy.copy(vector)
    worlds.render_mode, worlds._size = "rgb_array", (32, 24)
    worlds.reset(seed=0)
    first = worlds.render()
    for _ in range(3):
        worlds.step(np.linspace(-1, 1, 6, dtype=np.float32)[:, None])
    frames = worlds.render()
    assert [(frame.shape, frame.dtype) for frame in frames] == [((24, 32, 3), np.uint8)] * 6
    assert (frames[0] != frames[5]).any()
    assert (frames[0] != first[0]).any()
    assert len(pickle.loads(pickle.dumps(worlds)).render()) == 6

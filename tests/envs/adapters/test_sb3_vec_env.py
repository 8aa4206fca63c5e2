"""Our tasks as Stable-Baselines3's ``VecEnv``. The package needs PyTorch, so these tests run on request alone."""

import importlib
import sys
from typing import Any

import numpy as np
import pytest


def test_without_the_package_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.vec_env", None)
    monkeypatch.delitem(sys.modules, "envs.adapters.sb3_vec_env", raising=False)
    with pytest.raises(ImportError, match=r"needs Stable-Baselines3: pip install 'mjx-tecrl\[sb3\]'"):
        importlib.import_module("envs.adapters.sb3_vec_env")


@pytest.fixture
def worlds() -> Any:
    pytest.importorskip("stable_baselines3")
    from envs.adapters.sb3_vec_env import SB3VecEnv

    return SB3VecEnv("inverted_pendulum", 4, physics="native", max_episode_steps=20, reset_noise_scale=0.001)


@pytest.mark.slow
@pytest.mark.long
def test_episodes_end_as_its_own_worlds_do(worlds: Any) -> None:
    from stable_baselines3.common.vec_env import DummyVecEnv

    theirs = DummyVecEnv([lambda: envs_of_one(20)])
    theirs.reset()
    keys = [[*theirs.step(np.zeros((1, 1)))[3][0]] for _ in range(20)][-1]
    worlds.seed(0)
    first = worlds.reset()
    worlds.seed(0)
    assert (worlds.reset() == first).all()
    actions = np.array([[0.0], [0.0], [1.0], [np.nan]], np.float32)
    for step in range(20):
        obs, reward, done, infos = worlds.step(actions)
        if step == 0:  # the last world blew up
            assert infos[3]["TimeLimit.truncated"]
            assert infos[3]["diverged"]
            np.testing.assert_array_equal(infos[3]["terminal_observation"], first[3])
            actions[3] = 0
        if done[2]:
            assert not infos[2]["TimeLimit.truncated"]
            assert infos[2]["terminal_observation"][1] < -0.2
            assert abs(obs[2, 1]) <= 0.001 + 1e-6
            actions[2] = 0
    assert done.tolist() == [True, True, False, False]
    assert set(keys) <= set(infos[0])
    assert infos[0]["TimeLimit.truncated"]
    assert "terminal_observation" not in infos[2]
    assert reward.shape == (4,)


def envs_of_one(limit: int) -> Any:
    """One world, as `gymnasium.make` makes it."""
    import gymnasium

    return gymnasium.make("mjx_tecrl/inverted_pendulum", physics="native", max_episode_steps=limit, reset_noise_scale=0.001)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("agent", ["PPO", "SAC"])
def test_its_trainers_train(worlds: Any, agent: str) -> None:
    import stable_baselines3
    from stable_baselines3.common.vec_env import VecMonitor

    settings = {"PPO": {"n_steps": 32, "batch_size": 32, "n_epochs": 2}, "SAC": {"learning_starts": 40, "batch_size": 32}}
    trainer = getattr(stable_baselines3, agent)(
        "MlpPolicy", VecMonitor(worlds), seed=0, device="cpu", policy_kwargs={"net_arch": [16]}, **settings[agent]
    )
    before = {name: value.clone() for name, value in trainer.policy.state_dict().items()}
    trainer.learn(400)
    after = trainer.policy.state_dict()
    assert trainer.num_timesteps >= 400
    assert any((after[name] != value).any() for name, value in before.items())
    returns = [episode["r"] for episode in trainer.ep_info_buffer]
    assert returns
    assert 0 < max(returns) <= 20
    action, _ = trainer.predict(worlds.reset(), deterministic=True)
    assert action.shape == (4, 1)


@pytest.mark.slow
@pytest.mark.long
def test_what_no_world_has_of_its_own_is_refused(worlds: Any) -> None:
    assert worlds.get_attr("num_envs", [0, 1]) == [4, 4]
    assert worlds.env_is_wrapped(object) == [False] * 4
    for call in (lambda: worlds.set_attr("gravity", 1), lambda: worlds.env_method("render")):
        with pytest.raises(NotImplementedError, match="all worlds are one program"):
            call()

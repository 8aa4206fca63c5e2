"""Presets: all of them can be, and ``paper`` holds the papers' constants."""

import pytest

import envs
from mjx_tecrl import AGENTS
from train.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("env", [*(n for n in envs.GYMNASIUM_TASKS if "-v" not in n), "ant-v5", "dmc/cartpole-swingup"])
def test_every_preset_is_valid(name: str, agent: str, env: str) -> None:
    config = preset(name, env, agent).validate()
    assert (config.preset, config.env, config.agent) == (name, env, agent)


def test_paper_holds_the_constants_of_tecrl() -> None:
    config = preset("paper", "humanoid", "dsac_e")
    agent = config.agent_args
    assert (agent.critic_lr, agent.policy_lr, agent.entropy_critic_lr, agent.alpha_lr) == (1e-4, 1e-4, 1e-4, 3e-4)
    assert (agent.discount, agent.tau, agent.delay, agent.reward_scale, agent.zeta) == (0.99, 0.005, 2, 0.1, 3)
    assert (agent.rho, agent.init_log_alpha, agent.hidden) == (20, 1.0, (256, 256, 256))
    assert (config.batch_size, config.replay_size, config.learning_starts) == (256, 1_000_000, 10_000)
    # 20 environment steps per gradient step; 1.5e6 of those; an evaluation of 10 episodes every 15 000.
    assert config.num_envs / config.updates_per_step == 20
    assert config.total_steps == 1_500_000 * 20
    assert (config.eval_steps, config.eval_episodes) == (15_000 * 20, 10)
    assert preset("paper", "hopper", "dsac_e").agent_args.rho == 1


def test_paper_holds_the_constants_of_fast_td3_and_era() -> None:
    config = preset("paper", "humanoid", "fast_sac_era")
    agent = config.agent_args
    assert (agent.policy_hidden, agent.critic_hidden) == ((512, 256, 128), (1024, 512, 256))
    assert (agent.num_atoms, agent.value_range, agent.noise_range) == (101, (-250, 250), (0.001, 0.4))
    assert (agent.tau, agent.delay, agent.weight_decay, agent.entropy_per_dim) == (0.1, 1, 0.1, 0.25)
    assert (config.batch_size, config.updates_per_step, config.num_envs) == (32768, 2, 128)
    assert config.replay_size == 51200 * 128
    assert config.normalize_obs


def test_paper_holds_the_recipe_of_flash_sac_for_robots() -> None:
    config = preset("paper", "humanoid", "flash_sac")
    assert (config.num_envs, config.updates_per_step, config.batch_size) == (1024, 2, 2048)
    assert (config.total_steps, config.replay_size, config.learning_starts) == (50_000_000, 10_000_000, 100_000)
    assert config.normalize_reward
    assert not config.normalize_obs
    steps = config.total_steps // config.num_envs
    assert config.agent_args == type(config.agent_args)(n_step=3, decay_updates=2 * steps)


@pytest.mark.parametrize("name", PRESETS)
def test_rewards_are_normalised_for_flash_sac_alone(name: str) -> None:
    normalised = {agent for agent in AGENTS if preset(name, "hopper", agent).normalize_reward}
    assert normalised == {"flash_sac"}


def test_paper_rollouts_of_on_policy_agents_hold_2000_transitions() -> None:
    for agent in ("ppo", "ppo_era", "trpo", "eapo"):
        config = preset("paper", "humanoid", agent)
        assert config.num_envs * config.agent_args.rollout_steps == 2000
        assert config.agent_args == type(config.agent_args)()
        assert (config.replay_size, config.batch_size, config.learning_starts, config.updates_per_step) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("papers", "hopper", "dsac_e"), "did you mean paper"),
        (("paper", "hoper", "dsac_e"), "did you mean hopper"),
        (("paper", "hopper", "sacera"), "unknown agent 'sacera'"),
    ],
)
def test_unknown_names_get_the_nearest(names: tuple[str, str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        preset(*names)

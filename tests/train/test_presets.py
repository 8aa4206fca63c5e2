"""Presets: all of them can be, ``paper`` holds the papers' constants, and nothing changes by accident."""

import dataclasses
from typing import Any

import pytest

import envs
from mjx_tecrl import AGENTS
from mjx_tecrl.agents.families import BaselineConfig, ParallelConfig
from mjx_tecrl.agents.sac import SACConfig
from mjx_tecrl.agents.td3 import TD3Config
from train.presets import GO1, HUMANOIDS, PARALLEL, PRESETS, QUICK, ROWS, Row, preset


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("env", [*(n for n in envs.GYMNASIUM_TASKS if "-v" not in n), "ant-v5", "dmc/cartpole-swingup"])
def test_every_preset_is_valid(name: str, agent: str, env: str) -> None:
    config = preset(name, env, agent).validate()
    assert (config.preset, config.env, config.agent) == (name, env, agent)


@pytest.mark.parametrize(("backend", "name"), [("cpu", "quick"), ("gpu", "parallel"), ("tpu", "parallel")])
def test_auto_is_what_suits_the_machine(backend: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    assert preset("auto", "hopper", "sac") == preset(name, "hopper", "sac")


def test_paper_holds_the_constants_of_tecrl() -> None:
    config = preset("paper", "humanoid", "dsac_e")
    agent = config.agent_args
    assert (agent.critic_lr, agent.policy_lr, agent.entropy_critic_lr, agent.alpha_lr) == (1e-4, 1e-4, 1e-4, 3e-4)
    assert (agent.discount, agent.tau, agent.delay, agent.reward_scale, agent.zeta) == (0.99, 0.005, 2, 0.1, 3)
    assert (agent.rho, agent.init_log_alpha, agent.hidden) == (20, 1.0, (256, 256, 256))
    assert (config.batch_size, config.replay_size, config.learning_starts) == (256, 1_000_000, 10_000)
    # 20 environment steps per gradient step; 1.5e6 of those; an evaluation of 10 episodes every 15 000.
    assert (config.steps_per_update, config.num_envs, config.update_schedule) == (20, 20, (1, 1))
    assert config.total_steps == 1_500_000 * 20
    assert (config.eval_steps, config.eval_episodes) == (15_000 * 20, 10)
    assert preset("paper", "hopper", "dsac_e").agent_args.rho == 1


def test_paper_holds_the_constants_of_fast_td3_and_era() -> None:
    config = preset("paper", "humanoid", "fast_sac_era")
    agent = config.agent_args
    assert (agent.policy_hidden, agent.critic_hidden) == ((512, 256, 128), (1024, 512, 256))
    assert (agent.num_atoms, agent.value_range, agent.noise_range) == (101, (-250, 250), (0.001, 0.4))
    assert (agent.tau, agent.delay, agent.weight_decay, agent.entropy_per_dim) == (0.1, 1, 0.1, 0.25)
    assert (config.batch_size, config.update_schedule, config.num_envs) == (32768, (2, 1), 128)
    assert config.replay_size == 51200 * 128
    assert config.normalize_obs


def test_paper_holds_the_recipe_of_flash_sac_for_robots() -> None:
    config = preset("paper", "humanoid", "flash_sac")
    assert (config.num_envs, config.update_schedule, config.batch_size) == (1024, (2, 1), 2048)
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


def departures(name: str, env: str, agent: str) -> dict[str, Any]:
    """Where a preset's values differ from the agent's own defaults."""
    args = preset(name, env, agent).agent_args
    own = dataclasses.asdict(type(args)())
    return {field: value for field, value in dataclasses.asdict(args).items() if value != own[field]}


QUICK_TECRL = {"hidden": (128, 128), "critic_lr": 3e-4, "policy_lr": 3e-4, "tau": 0.02}
PENDULUM_TECRL = QUICK_TECRL | {"critic_lr": 1e-3, "policy_lr": 1e-3}
QUICK_FAST = {"policy_hidden": (128, 128), "critic_hidden": (128, 128), "tau": 0.05, "reward_scale": 0.1}
WIDE, HOPPER = (-150.0, 150.0), {"value_range": (-20.0, 40.0), "num_atoms": 201}
TEMPERATURE = {"init_log_alpha": -3.0}


@pytest.mark.parametrize(
    ("name", "env", "agent", "expected"),
    [
        (
            *("quick", "humanoid", "dsac_e"),
            QUICK_TECRL | TEMPERATURE | {"delay": 1, "entropy_critic_lr": 3e-4, "rho": 20.0, "value_range": WIDE},
        ),
        (
            *("quick", "inverted_pendulum", "dsac_e"),
            PENDULUM_TECRL
            | TEMPERATURE
            | {"delay": 1, "entropy_critic_lr": 1e-3, "entropy_per_dim": -1.0, "value_range": (-1.0, 11.0)},
        ),
        (
            *("parallel", "hopper", "dsac_e"),
            {"critic_lr": 3e-4, "policy_lr": 3e-4, "entropy_critic_lr": 3e-4, "tau": 0.05} | TEMPERATURE | HOPPER,
        ),
        ("paper", "walker2d", "dsac_e", {"rho": 20.0}),
        ("quick", "humanoid", "dsac_t", QUICK_TECRL | TEMPERATURE | {"delay": 1}),
        ("quick", "inverted_double_pendulum", "sac", PENDULUM_TECRL | TEMPERATURE),
        ("quick", "humanoid", "td3", QUICK_TECRL),
        ("quick", "inverted_pendulum", "ddpg", PENDULUM_TECRL),
        ("quick", "humanoid", "sac_era", {"hidden": (128, 128), "tau": 0.02, "reward_scale": 0.1}),
        ("parallel", "humanoid", "sac_era", {"tau": 0.05, "reward_scale": 0.1}),
        (
            *("quick", "half_cheetah", "fast_td3"),
            QUICK_FAST | {"weight_decay": 0.001, "delay": 1, "noise_range": (0.001, 0.1), "value_range": (-100.0, 100.0)},
        ),
        (
            *("quick", "inverted_double_pendulum", "fast_sac_era"),
            QUICK_FAST
            | {"weight_decay": 0.001, "noise_range": (0.001, 0.1), "value_range": (-10.0, 110.0)}
            | {"policy_lr": 1e-3, "critic_lr": 1e-3, "entropy_per_dim": -1.0},
        ),
        ("quick", "hopper", "fast_sac", QUICK_FAST | HOPPER | {"delay": 1, "discount": 0.99}),
        ("parallel", "ant", "fast_sac_era", {"reward_scale": 0.1, "value_range": WIDE}),
        (
            *("quick", "inverted_pendulum", "flash_sac"),
            {"policy_blocks": 1, "policy_width": 64, "critic_blocks": 1, "critic_width": 128, "tau": 0.02, "delay": 1}
            | {"lr": 1e-3, "final_lr": 5e-4, "decay_updates": 7_500},
        ),
        ("parallel", "humanoid", "flash_sac", {"n_step": 3, "decay_updates": 48_828}),
        ("paper", "humanoid", "ppo", {}),
        ("quick", "humanoid", "trpo", {"rollout_steps": 128, "minibatches": 32}),
        ("parallel", "humanoid", "ppo_era", {"rollout_steps": 16, "epochs": 4, "minibatches": 16}),
    ],
)
def test_agents_depart_from_their_defaults_where_the_table_says(
    name: str, env: str, agent: str, expected: dict[str, Any]
) -> None:
    assert departures(name, env, agent) == expected


RUN = (
    *("total_steps", "num_envs", "steps_per_update", "batch_size", "replay_size", "learning_starts"),
    *("normalize_obs", "normalize_reward", "random_start", "log_steps", "eval_steps", "checkpoint_steps", "eval_episodes"),
)


@pytest.mark.parametrize(
    ("name", "env", "agent", "expected"),
    [
        (
            *("quick", "humanoid", "dsac_e"),
            (2_000_000, 16, 16, 256, 400_000, 2_000, True, False, False, 4_000, 100_000, 200_000, 16),
        ),
        (
            *("quick", "inverted_pendulum", "td3"),
            (120_000, 16, 16, 256, 400_000, 2_000, False, False, True, 1_600, 6_000, 12_000, 16),
        ),
        (
            *("quick", "inverted_pendulum", "fast_td3"),
            (120_000, 16, 16, 256, 400_000, 2_000, True, False, False, 1_600, 6_000, 12_000, 16),
        ),
        (
            *("quick", "humanoid", "ppo"),
            (2_000_000, 16, 0, 0, 0, 0, True, False, False, 4_000, 100_000, 200_000, 16),
        ),
        (
            *("parallel", "humanoid", "sac"),
            (100_000_000, 4096, 2048, 8192, 4_096_000, 40_960, False, False, False, 409_600, 4_096_000, 20_480_000, 128),
        ),
        (
            *("parallel", "humanoid", "fast_sac"),
            (100_000_000, 4096, 2048, 32768, 4_096_000, 40_960, True, False, False, 409_600, 4_096_000, 20_480_000, 128),
        ),
        (
            *("parallel", "humanoid", "flash_sac"),
            (100_000_000, 4096, 2048, 8192, 4_096_000, 40_960, False, True, False, 409_600, 4_096_000, 20_480_000, 128),
        ),
        (
            *("paper", "humanoid", "fast_sac"),
            (100_000_000, 4096, 512, 8192, 4_194_304, 40_960, True, False, False, 409_600, 4_096_000, 20_480_000, 10),
        ),
        (
            *("paper", "humanoid", "sac_era"),
            (1_000_000, 1, 0.5, 256, 1_000_000, 5_000, False, False, False, 20_000, 10_000, 1_500_000, 10),
        ),
    ],
)
def test_runs_have_the_values_that_the_table_says(name: str, env: str, agent: str, expected: tuple[Any, ...]) -> None:
    config = preset(name, env, agent)
    assert {field: getattr(config, field) for field in RUN} == dict(zip(RUN, expected, strict=True))
    assert config.updates_per_step is (None if config.replay_size else 0)


@pytest.mark.parametrize("agent", [agent for agent in AGENTS if preset("quick", "humanoid", agent).replay_size])
@pytest.mark.parametrize("name", PRESETS)
def test_the_worlds_of_a_preset_make_whole_updates_after_every_step(name: str, agent: str) -> None:
    config = preset(name, "humanoid", agent)
    assert config.num_envs == config.update_schedule[0] * config.steps_per_update
    assert config.update_schedule[1] == 1


def test_step_sizes_that_fall_over_a_run_follow_its_length() -> None:
    config = preset("quick", "hopper", "flash_sac", total_steps=5_000, num_envs=3, updates_per_step=5)
    assert (config.total_steps, config.num_envs, config.updates_per_step) == (5_000, 3, 5)
    assert config.agent_args.decay_updates == 5_000 // 3 * 5
    for worlds in (1, 16, 256):
        config = preset("quick", "hopper", "flash_sac", total_steps=256_000, num_envs=worlds)
        assert config.agent_args.decay_updates == 16_000


def test_a_row_cannot_set_what_a_config_does_not_have() -> None:
    with pytest.raises(ValueError, match="sets 'rho', which TD3Config does not have"):
        Row(QUICK, (SACConfig, TD3Config), agent={"rho": 20.0})
    with pytest.raises(ValueError, match="sets 'worlds', which Config does not have"):
        Row(QUICK, run={"worlds": 20})
    with pytest.raises(ValueError, match="sets 'tau', which object does not have"):  # of every agent: they share no field
        Row(QUICK, agent={"tau": 0.1})


def test_a_row_is_for_its_presets_agents_and_tasks_alone() -> None:
    row = Row(QUICK, (BaselineConfig,), ("hopper",), agent={"tau": 0.1})
    assert row.is_for("quick", SACConfig, "hopper")
    assert not row.is_for("parallel", SACConfig, "hopper")
    assert not row.is_for("quick", ParallelConfig, "hopper")
    assert not row.is_for("quick", SACConfig, "walker2d")
    assert Row(QUICK + PARALLEL).is_for("parallel", ParallelConfig, "dmc/walker-walk")


def test_every_row_is_of_use() -> None:
    # A misspelt task would make a row that is never read.
    tasks = {name.split("-v")[0] for name in envs.TASKS} | set(HUMANOIDS + GO1)
    for row in ROWS:
        assert set(row.presets) <= set(PRESETS)
        assert set(row.tasks) <= tasks
        assert row.agent or row.run
        assert all(any(issubclass(kind.Config, agent) for kind in AGENTS.values()) for agent in row.agents)


def test_the_rows_for_playground_name_its_tasks() -> None:
    registry = pytest.importorskip("mujoco_playground").registry
    assert {name.removeprefix("playground/") for name in HUMANOIDS + GO1} <= set(registry.ALL_ENVS)


@pytest.mark.parametrize(
    ("agent", "robot", "worlds", "steps", "updates", "values"),
    [
        ("fast_td3", "G1", 1024, 102_400_000, 200_000, {"noise_range": (0.001, 0.4), "smoothing": (0.001, 0.5)}),
        ("fast_td3", "Go1", 1024, 51_200_000, 400_000, {"noise_range": (0.2, 0.8), "smoothing": (0.2, 0.5)}),
        ("fast_sac_era", "T1", 1024, 102_400_000, 200_000, {"noise_range": (0.001, 0.4), "value_range": (-10.0, 10.0)}),
        ("fast_sac", "T1", 4096, 204_800_000, 400_000, {"value_range": (-20.0, 20.0), "delay": 4}),
        ("flash_sac", "G1", 1024, 50_000_000, 97_656, {"value_range": (-5.0, 5.0), "n_step": 1}),
    ],
)
def test_playgrounds_robots_have_the_authors_constants(
    agent: str, robot: str, worlds: int, steps: int, updates: int, values: dict[str, Any]
) -> None:
    config = preset("paper", f"playground/{robot}JoystickFlatTerrain", agent)
    assert (config.num_envs, config.total_steps) == (worlds, steps)
    assert config.total_steps // config.steps_per_update == updates
    args = vars(config.agent_args)
    assert (args["discount"], args["reward_scale"]) == (0.97, 1.0)
    assert {name: args[name] for name in values} == values
    quick = preset("quick", f"playground/{robot}JoystickFlatTerrain", agent).agent_args
    assert (quick.discount, quick.reward_scale) == (0.97, 1.0)


@pytest.mark.parametrize(("robot", "bonus", "clip"), [("G1", 0.005, 0.2), ("Go1", 0.01, 0.3)])
def test_playgrounds_robots_have_its_own_constants_of_ppo(robot: str, bonus: float, clip: float) -> None:
    registry = pytest.importorskip("mujoco_playground.config.locomotion_params")
    name = f"{robot}JoystickFlatTerrain"
    theirs, ours = registry.brax_ppo_config(name), preset("paper", f"playground/{name}", "ppo")
    args = ours.agent_args
    assert (args.entropy_bonus, args.clip) == (bonus, clip) == (theirs.entropy_cost, theirs.get("clipping_epsilon", 0.3))
    assert args.hidden == theirs.network_factory.policy_hidden_layer_sizes
    assert (args.discount, args.policy_lr) == (theirs.discounting, theirs.learning_rate)
    assert args.max_grad_norm == theirs.max_grad_norm
    assert (args.epochs, args.minibatches) == (theirs.num_updates_per_batch, theirs.num_minibatches)
    assert args.rollout_steps * ours.num_envs == theirs.unroll_length * theirs.batch_size * theirs.num_minibatches
    assert (ours.num_envs, ours.total_steps) == (theirs.num_envs, theirs.num_timesteps)

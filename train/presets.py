"""Presets: the values that a run starts from, per task and agent.

All of them stand in one table, `ROWS`. A row says which presets, agents and tasks it is for and what it sets; the reason
stands above it. What no row sets keeps the agent's own default, which is its authors' value. So the rows of ``quick`` and
``parallel`` are the list of all departures from the papers.

``paper``
    the papers' constants (TECRL: arXiv 2511.11592; FastTD3: arXiv 2505.22642; ERA: arXiv 2510.08549; FlashSAC: arXiv
    2604.04539)
``quick``
    for a CPU, and minutes to an hour
``parallel``
    for an accelerator and thousands of worlds
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

import envs
from envs.names import nearest
from envs.tasks import ALIASES
from mjx_tecrl.agents.ddpg import DDPGConfig
from mjx_tecrl.agents.dsac_e import DSACEConfig
from mjx_tecrl.agents.families import BaselineConfig, OffPolicyConfig, OnPolicyConfig, ParallelConfig, TemperatureConfig
from mjx_tecrl.agents.fast_sac import FastSACConfig
from mjx_tecrl.agents.fast_sac_era import FastSACERAConfig
from mjx_tecrl.agents.fast_td3 import FastTD3Config
from mjx_tecrl.agents.flash_sac import FlashSACConfig
from mjx_tecrl.agents.ppo import PPOConfig
from mjx_tecrl.agents.sac_era import SACERAConfig
from mjx_tecrl.agents.td3 import TD3Config
from train.adaptation import adapted
from train.agents import find_agent
from train.config import REPLAY_FIELDS, Config

PAPER, QUICK, PARALLEL = ("paper",), ("quick",), ("parallel",)
PRESETS = PAPER + QUICK + PARALLEL
"""Names of all presets."""

PENDULUMS = ("inverted_pendulum", "inverted_double_pendulum")
HUMANOIDS = tuple(f"playground/{robot}Joystick{ground}Terrain" for robot in ("G1", "T1") for ground in ("Flat", "Rough"))
GO1 = ("playground/Go1JoystickFlatTerrain", "playground/Go1JoystickRoughTerrain", "playground/Go1Getup")
"""Playground's robots for which authors have published constants."""

CATEGORICAL = (ParallelConfig, DSACEConfig)
"""Configs with the range and the atoms of a categorical critic; of DSAC-E it is a choice."""

LENGTH = ("total_steps", "num_envs", "steps_per_update", "updates_per_step", "replay_size")
"""What other values follow from, see `train.adaptation`."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What some presets set for some agents on some tasks.

    Attributes:
      presets: those that set it.
      agents: classes of configs; the row is for the agents whose config is of one of them or of a subclass. Empty: for all.
      tasks: names without a version. Empty: for all.
      agent: values for the agent's config.
      run: values for the run's config.

    Raises:
      ValueError: one of the configs does not have a field that the row sets.
    """

    presets: tuple[str, ...]
    agents: tuple[type, ...] = ()
    tasks: tuple[str, ...] = ()
    _: dataclasses.KW_ONLY
    agent: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    run: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        values_of = [(Config, self.run), *((kind, self.agent) for kind in self.agents or (object,))]
        for kind, values in values_of:
            unknown = sorted(values.keys() - getattr(kind, "__dataclass_fields__", {}).keys())
            if unknown:
                raise ValueError(f"a row of the presets sets {unknown[0]!r}, which {kind.__name__} does not have")

    def is_for(self, preset: str, agent: type, task: str) -> bool:
        """Whether the row is for a preset, an agent with this class of config, and a task, named without its version."""
        return (
            preset in self.presets
            and (not self.agents or issubclass(agent, self.agents))
            and (not self.tasks or task in self.tasks)
        )


ROWS = (
    # --- Runs of every agent.
    # TECRL: 20 environment steps per gradient step, 1.5e6 gradient steps, an evaluation of 10 episodes every 15 000 of them.
    Row(
        PAPER,
        run=dict(
            total_steps=30_000_000,
            num_envs=20,
            steps_per_update=20,
            batch_size=256,
            replay_size=1_000_000,
            learning_starts=10_000,
            normalize_obs=False,
            log_steps=20_000,
            eval_steps=300_000,
            checkpoint_steps=1_500_000,
            eval_episodes=10,
        ),
    ),
    # TECRL does not normalise observations; on the pendulums this preset does not either.
    Row(
        QUICK,
        run=dict(
            total_steps=2_000_000,
            num_envs=16,
            steps_per_update=16,
            batch_size=256,
            replay_size=400_000,
            learning_starts=2_000,
            normalize_obs=True,
            log_steps=4_000,
            eval_steps=100_000,
            checkpoint_steps=200_000,
            eval_episodes=16,
        ),
    ),
    Row(
        QUICK,
        tasks=PENDULUMS,
        run=dict(total_steps=120_000, normalize_obs=False, log_steps=1_600, eval_steps=6_000, checkpoint_steps=12_000),
    ),
    # 2 updates of 8192 transitions per step of all worlds, where TECRL makes 1 of 256 per 20 environment steps.
    Row(
        PARALLEL,
        run=dict(
            total_steps=100_000_000,
            num_envs=4096,
            steps_per_update=2048,
            batch_size=8192,
            replay_size=4_096_000,
            learning_starts=40_960,
            normalize_obs=False,
            log_steps=409_600,
            eval_steps=4_096_000,
            checkpoint_steps=20_480_000,
            eval_episodes=128,
        ),
    ),
    # --- The agents of TECRL's comparison. The paper has networks of 3 x 256.
    Row(QUICK, (BaselineConfig,), agent=dict(hidden=(128, 128))),
    # SAC-ERA's authors do not scale rewards; the others of this family have 0.1 in any case.
    Row(QUICK + PARALLEL, (BaselineConfig,), agent=dict(reward_scale=0.1)),
    # The paper has step sizes of 1e-4; that of the temperature stays as it is.
    Row(QUICK + PARALLEL, (BaselineConfig,), agent=dict(critic_lr=3e-4, policy_lr=3e-4)),
    Row(QUICK + PARALLEL, (DSACEConfig,), agent=dict(entropy_critic_lr=3e-4)),
    Row(QUICK, (BaselineConfig,), PENDULUMS, agent=dict(critic_lr=1e-3, policy_lr=1e-3)),
    Row(QUICK, (DSACEConfig,), PENDULUMS, agent=dict(entropy_critic_lr=1e-3)),
    # The paper has tau 0.005 and delay 2. The entropy critic has to keep up with the temperature: its lag is about
    # delay / (tau (1 - discount)) updates.
    Row(QUICK, (BaselineConfig,), agent=dict(tau=0.02, delay=1)),
    Row(PARALLEL, (BaselineConfig,), agent=dict(tau=0.05)),
    # From the paper's 1, a constraint binds only after more updates than a CPU makes.
    Row(QUICK + PARALLEL, (TemperatureConfig,), agent=dict(init_log_alpha=-3.0)),
    # TECRL, section 5: the entropy budgets that differ from 1.
    Row(PRESETS, (DSACEConfig,), ("humanoid", "walker2d"), agent=dict(rho=20.0)),
    # The deterministic policy that these agents begin with does nothing: half-cheetah then stands still, and nothing is
    # learned from it. So they fill the replay with uniform actions, as TD3 does in its first 1000 or 10 000 steps.
    Row(PRESETS, (TD3Config, DDPGConfig), run=dict(random_start=True)),
    # TD3 alone keeps its delay.
    Row(QUICK, (TD3Config,), agent=dict(delay=2)),
    # ERA's SAC: one world, and two updates after each of its steps.
    Row(
        PAPER,
        (SACERAConfig,),
        run=dict(total_steps=1_000_000, num_envs=1, steps_per_update=0.5, learning_starts=5_000, eval_steps=10_000),
    ),
    # --- FastTD3's family.
    # FastTD3 keeps 51200 steps of each of 128 worlds, and updates twice per step with 32768 transitions.
    Row(
        PAPER,
        (ParallelConfig,),
        run=dict(
            total_steps=12_800_000,
            num_envs=128,
            steps_per_update=64,
            batch_size=32768,
            replay_size=128 * 51200,
            learning_starts=32768,
            normalize_obs=True,
            log_steps=12_800,
            eval_steps=640_000,
            checkpoint_steps=1_280_000,
        ),
    ),
    # FastSAC has 4096 worlds, of which it keeps 1024 steps each.
    Row(
        PAPER,
        (FastSACConfig,),
        run=dict(
            total_steps=100_000_000,
            num_envs=4096,
            steps_per_update=512,
            batch_size=8192,
            replay_size=4096 * 1024,
            learning_starts=40_960,
            log_steps=409_600,
            eval_steps=4_096_000,
            checkpoint_steps=20_480_000,
        ),
    ),
    # FastTD3's constants with more worlds.
    Row(PARALLEL, (ParallelConfig,), run=dict(batch_size=32768, normalize_obs=True)),
    # FastTD3 has layers of 512, 256, 128 in the policy and of 1024, 512, 256 in the critics, weight decay 0.1, tau 0.1,
    # delay 2 and step sizes of 3e-4. It makes 2 updates of 32768 transitions per step, and the runs above 1 of 256.
    Row(
        QUICK,
        (ParallelConfig,),
        agent=dict(
            policy_hidden=(128, 128),
            critic_hidden=(128, 128),
            policy_lr=3e-4,
            critic_lr=3e-4,
            weight_decay=0.001,
            tau=0.05,
            delay=1,
        ),
        run=dict(normalize_obs=True),
    ),
    Row(QUICK, (ParallelConfig,), PENDULUMS, agent=dict(policy_lr=1e-3, critic_lr=1e-3)),
    # FastSAC's authors have 0.97.
    Row(QUICK, (FastSACConfig,), agent=dict(discount=0.99)),
    # The paper has noise of up to 0.4, with which the inverted double pendulum falls too soon to be learned.
    Row(QUICK, (FastTD3Config, FastSACERAConfig), agent=dict(noise_range=(0.001, 0.1))),
    # For the same reason ERA's entropy floor is lower there than the paper's 0.25 nats. PPO-ERA keeps the paper's.
    Row(QUICK, (FastSACERAConfig, SACERAConfig, DSACEConfig), PENDULUMS, agent=dict(entropy_per_dim=-1.0)),
    # --- Categorical critics need a range: the discounted returns to expect, here of rewards that are scaled by 0.1. An
    # untrained critic values everything at the middle, so that the range is symmetric where first returns are near 0.
    Row(QUICK + PARALLEL, (ParallelConfig,), agent=dict(reward_scale=0.1)),
    Row(QUICK + PARALLEL, CATEGORICAL, agent=dict(value_range=(-150.0, 150.0))),
    Row(QUICK + PARALLEL, CATEGORICAL, ("half_cheetah",), agent=dict(value_range=(-100.0, 100.0))),
    Row(QUICK + PARALLEL, CATEGORICAL, ("inverted_double_pendulum",), agent=dict(value_range=(-10.0, 110.0))),
    Row(QUICK + PARALLEL, CATEGORICAL, ("inverted_pendulum",), agent=dict(value_range=(-1.0, 11.0))),
    # Atoms must not lie much farther apart than what a step earns, here 0.1 to 0.3: with 1.0 between them the policy stayed
    # with a single jump. The paper's 101 atoms are too few for this range.
    Row(QUICK + PARALLEL, CATEGORICAL, ("hopper",), agent=dict(value_range=(-20.0, 40.0), num_atoms=201)),
    # --- FlashSAC, which also lowers its step sizes over the updates of the run: see `train.adaptation`.
    Row(PRESETS, (FlashSACConfig,), run=dict(normalize_reward=True, normalize_obs=False)),
    # Its authors' recipe for robots. With `parallel` it has the worlds, steps, replay and batch of the other agents.
    Row(PAPER + PARALLEL, (FlashSACConfig,), agent=dict(n_step=3)),
    Row(
        PAPER,
        (FlashSACConfig,),
        run=dict(
            total_steps=50_000_000,
            num_envs=1024,
            steps_per_update=512,
            batch_size=2048,
            replay_size=10_000_000,
            learning_starts=100_000,
            log_steps=102_400,
            eval_steps=1_024_000,
            checkpoint_steps=10_240_000,
        ),
    ),
    # The authors have two blocks of widths 128 and 256, delay 2, tau 0.01, rewards of 3 steps and 2 updates of 2048
    # transitions per step; here rewards are of 1 step, and the runs above make 1 update of 256. The step sizes are those of
    # the other agents; the end of the run halves them, as the authors do.
    Row(
        QUICK,
        (FlashSACConfig,),
        agent=dict(policy_blocks=1, policy_width=64, critic_blocks=1, critic_width=128, tau=0.02, delay=1),
    ),
    Row(QUICK, (FlashSACConfig,), agent=dict(lr=3e-4, final_lr=1.5e-4)),
    Row(QUICK, (FlashSACConfig,), PENDULUMS, agent=dict(lr=1e-3, final_lr=5e-4)),
    # --- The on-policy agents, which have no replay. The paper has rollouts of 2000 transitions, of 20 worlds.
    Row(PRESETS, (OnPolicyConfig,), run=dict.fromkeys(REPLAY_FIELDS, 0)),
    # Longer rollouts, of 128 and 16 steps of every world, larger minibatches, and normalised observations on every task.
    Row(QUICK, (OnPolicyConfig,), agent=dict(rollout_steps=128, minibatches=32), run=dict(normalize_obs=True)),
    Row(PARALLEL, (OnPolicyConfig,), agent=dict(rollout_steps=16, epochs=4, minibatches=16), run=dict(normalize_obs=True)),
    # --- MuJoCo Playground's robots. Their rewards are multiplied by the control step (0.02 s), so that a perfect episode
    # returns about 40, and scaling them down would leave nothing. FastTD3's and FlashSAC's authors discount by 0.97.
    Row(PRESETS, (OffPolicyConfig,), HUMANOIDS + GO1, agent=dict(reward_scale=1.0, discount=0.97)),
    Row(PRESETS, CATEGORICAL, HUMANOIDS + GO1, agent=dict(value_range=(-10.0, 10.0))),
    # FastTD3 (its code at 229ed59, fast_td3/hyperparams.py) keeps 10240 steps of each of 1024 worlds, and makes 100 000
    # vector steps. ERA's authors took FastTD3's constants, and have no runs on these tasks.
    Row(
        PAPER,
        (FastTD3Config, FastSACERAConfig),
        HUMANOIDS + GO1,
        run=dict(
            total_steps=1024 * 100_000,
            num_envs=1024,
            steps_per_update=512,
            replay_size=1024 * 10240,
            log_steps=102_400,
            eval_steps=5_120_000,
            checkpoint_steps=10_240_000,
        ),
    ),
    # On Go1 it makes 8 updates per step, 50 000 steps, and has more noise.
    Row(
        PAPER,
        (FastTD3Config, FastSACERAConfig),
        GO1,
        agent=dict(noise_range=(0.2, 0.8)),
        run=dict(total_steps=1024 * 50_000, steps_per_update=128),
    ),
    Row(PAPER, (FastTD3Config,), GO1, agent=dict(smoothing=(0.2, 0.5))),
    # FastSAC's second version has the constants above for G1 and T1 in other simulators, for 50 000 vector steps (holosoma
    # at fc600e7, config_values/algo.py). Its range of values holds here, too.
    Row(
        PAPER, (FastSACConfig,), HUMANOIDS + GO1, agent=dict(value_range=(-20.0, 20.0)), run=dict(total_steps=4096 * 50_000)
    ),
    # FlashSAC (its code at 87edc90, scripts/run_mujoco_playground.sh) has rewards of one step here, and its own range for
    # rewards that are normalised.
    Row(PRESETS, (FlashSACConfig,), HUMANOIDS + GO1, agent=dict(value_range=(-5.0, 5.0), n_step=1)),
    # Playground's own PPO (0.2.0, config/locomotion_params.py, for Brax's): 8192 worlds, 20 steps of each per rollout, 32
    # minibatches, 4 passes. Networks are as wide as theirs; activations and head stay those of this project's PPO.
    Row(
        PAPER,
        (PPOConfig,),
        HUMANOIDS + GO1,
        agent=dict(
            hidden=(512, 256, 128),
            discount=0.97,
            rollout_steps=20,
            epochs=4,
            minibatches=32,
            max_grad_norm=1.0,
            entropy_bonus=0.005,
        ),
        run=dict(
            total_steps=200_000_000,
            num_envs=8192,
            normalize_obs=True,
            log_steps=1_638_400,
            eval_steps=16_384_000,
            checkpoint_steps=32_768_000,
        ),
    ),
    # For Go1 they leave Brax's own limit of the probability ratio, and have twice the entropy bonus.
    Row(PAPER, (PPOConfig,), GO1, agent=dict(entropy_bonus=0.01, clip=0.3)),
    # --- This project's robots earn up to 3.5 per step.
    Row(QUICK + PARALLEL, CATEGORICAL, tuple(envs.ROBOT_TASKS), agent=dict(value_range=(-10.0, 40.0))),
)
"""Read downwards: where two rows set the same value, the later one holds."""


def preset(name: str, env: str, agent: str, **length: Any) -> Config:
    """The config that preset ``name`` gives for a task and an agent; what no row sets keeps the agent's own default.

    Args:
      name: one of `PRESETS`, or ``auto``.
      env: the task.
      agent: the agent.
      **length: those of `LENGTH` that differ from the preset's. Other values follow from them, see `train.adaptation`.

    Raises:
      ValueError: an unknown preset, task or agent.
    """
    task, kind = envs.task(env), find_agent(agent)
    if name == "auto":
        [name] = QUICK if jax.default_backend() == "cpu" else PARALLEL
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; did you mean {nearest(name, [*PRESETS, 'auto'])}?")
    agent_values: dict[str, Any] = {}
    run_values: dict[str, Any] = {}
    for row in ROWS:
        if row.is_for(name, kind.Config, task.name.split("-v")[0]):
            agent_values |= row.agent
            run_values |= row.run
    own_worlds = run_values["num_envs"]
    run_values |= length
    config = Config(
        env=ALIASES.get(env, env),
        agent=agent,
        preset=name,
        env_args=task.Args(),
        agent_args=kind.Config(**agent_values),
        randomization=task.randomization,
        **run_values,
    )
    return adapted(config, own_worlds)

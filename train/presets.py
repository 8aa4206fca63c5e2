"""Presets: the values a run starts from, per task and agent. Every departure from the papers is listed here.

``paper``
    The papers' constants (TECRL: arXiv 2511.11592; FastTD3 with ERA: arXiv 2505.22642, 2510.08549).

``quick``
    For a CPU, and minutes to an hour. Departures of the agents of TECRL's comparison: networks of 2 x 128 instead of
    3 x 256; step sizes 3e-4 (pendulums 1e-3) instead of 1e-4, but for the temperature's; tau 0.02 instead of 0.005, and no
    delay but TD3's, so that the entropy critic keeps up with the temperature (its lag is about delay / (tau (1 - discount))
    updates); initial log temperature -3 instead of 1, from which a constraint binds only after more updates than a CPU
    makes; normalised observations (not on the pendulums). Departures of FastTD3's family: networks of 2 x 128, batch 256
    instead of 32768, 1 update per step instead of 2, no delay; step sizes as above; weight decay 0.001 instead of 0.1;
    tau 0.05 instead of 0.1; exploration noise up to 0.1 instead of 0.4 (with 0.4 the inverted double pendulum falls too
    soon to be learned), for which reason the pendulums' entropy floor is -1 nat instead of 0.25; scaled rewards with a
    value range (and, on hopper, atoms) to match.

``parallel``
    For an accelerator and thousands of worlds. Departures of the agents of TECRL's comparison: 2 updates of 8192
    transitions per step of all worlds instead of 1 of 256 per 20 environment steps, step sizes 3e-4, tau 0.05, initial
    log temperature -3. FastTD3's family keeps its constants, but with more worlds, and scaled rewards with a value range
    to match.

``flash_sac`` (arXiv 2604.04539): ``paper`` is its authors' recipe for robots (1024 worlds, 2 updates of 2048 transitions
per step, 5e7 steps, replay 1e7, learning from 1e5 on, rewards of 3 steps). Departures of ``quick``: networks of one block
of width 64 and 128 instead of two of 128 and 256, batch 256, 1 update per step, rewards of 1 step, no delay, tau 0.02
instead of 0.01, step sizes as above (halved by the end, as theirs). ``parallel`` is ``paper`` with the worlds, steps and
replay of the other agents and batch 8192. All of them normalise rewards, and lower the step sizes over the updates of the
run.

``td3`` and ``ddpg`` fill the replay with uniform actions (TD3's first 1000 or 10 000 steps), since the deterministic policy
they begin with does nothing: half-cheetah then stands still, and nothing is learned from it.

The on-policy agents have no replay. ``paper``: rollouts of 2000 transitions, of 20 worlds. ``quick`` and ``parallel``:
longer rollouts, of 128 and 16 steps of every world, larger minibatches, and normalised observations.
"""

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

import jax

import envs
from mjx_tecrl import named_agent
from mjx_tecrl.agents.families import BaselineConfig, OnPolicyConfig, ParallelConfig
from mjx_tecrl.agents.flash_sac import FlashSACConfig
from train.config import REPLAY_FIELDS, Config

PRESETS = ("paper", "quick", "parallel")

RHO = {"humanoid": 20.0, "walker2d": 20.0}
"""Entropy budgets that differ from 1 (TECRL, section 5)."""

VALUE_RANGE = {
    "humanoid": (-150.0, 150.0),
    "hopper": (-20.0, 40.0),
    "half_cheetah": (-100.0, 100.0),
    "inverted_double_pendulum": (-10.0, 110.0),
    "inverted_pendulum": (-1.0, 11.0),
}
"""Discounted returns to expect with rewards scaled by 0.1; categorical critics need a range. An untrained critic values
everything at the middle, so the range is symmetric where first returns are near 0, and its atoms must not lie much
farther apart than what a step earns: at 1.0 for hopper's 0.1 to 0.3 the policy stayed with a single jump (README)."""

NUM_ATOMS = {"hopper": 201}
"""Where the paper's 101 atoms are too few for the range."""

LENGTH = ("total_steps", "num_envs", "updates_per_step")
"""What says how many gradient steps a run makes."""

PENDULUMS = ("inverted_pendulum", "inverted_double_pendulum")


Values = tuple[dict[str, Any], dict[str, Any]]
"""Values of the agent's config, and of the run's."""


def preset(name: str, env: str, agent: str, **length: int) -> Config:
    """The config that preset ``name`` gives for a task and an agent; an agent without an entry here keeps its own defaults.

    Args:
      name: one of `PRESETS`, or ``auto``.
      env: the task.
      agent: the agent.
      **length: those of `LENGTH` that are other than the preset's; step sizes that fall over a run fall over this one.

    Raises:
      ValueError: an unknown preset, task or agent.
    """
    task, kind = envs.task(env), named_agent(agent)
    if name == "auto":
        name = "quick" if jax.default_backend() == "cpu" else "parallel"
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.4) or PRESETS
        raise ValueError(f"unknown preset {name!r}; did you mean {', '.join(near)}?")
    family = task.name.split("-v")[0]
    agent_values, own_values = _values(agent, kind.Config, name, family)
    run_values = _RUNS[name](family) | own_values | length
    if issubclass(kind.Config, FlashSACConfig):
        total, worlds, updates = (run_values[field] for field in LENGTH)
        agent_values |= {"decay_updates": max(1, total // max(1, worlds) * updates)}
    return Config(
        env=task.name,
        agent=agent,
        preset=name,
        env_args=task.Args(),
        agent_args=kind.Config(**agent_values),
        randomization=task.randomization,
        **run_values,
    )


def _values(agent: str, config: type, preset: str, env: str) -> Values:
    """What a preset says of an agent: first its family, then itself; of the family's values those it has a field for."""
    family = next((values for kind, values in _FAMILIES.items() if issubclass(config, kind)), _nothing)
    agent_values, run_values = family(preset, env)
    fields = {field.name for field in dataclasses.fields(config)}
    own_agent, own_run = _OWN.get((agent, preset), lambda env: ({}, {}))(env)
    return {name: x for name, x in agent_values.items() if name in fields} | own_agent, run_values | own_run


def _nothing(preset: str, env: str) -> Values:
    return {}, {}


def _paper_run(env: str) -> dict[str, Any]:
    # TECRL: 20 environment steps per gradient step, 1.5e6 of those, an evaluation of 10 episodes every 15 000.
    return {
        "total_steps": 30_000_000,
        "num_envs": 20,
        "updates_per_step": 1,
        "batch_size": 256,
        "replay_size": 1_000_000,
        "learning_starts": 10_000,
        "normalize_obs": False,
        "log_steps": 20_000,
        "eval_steps": 300_000,
        "checkpoint_steps": 1_500_000,
        "eval_episodes": 10,
    }


def _quick_run(env: str) -> dict[str, Any]:
    pendulum = env in PENDULUMS
    steps = 120_000 if pendulum else 2_000_000
    return {
        "total_steps": steps,
        "num_envs": 16,
        "updates_per_step": 1,
        "batch_size": 256,
        "replay_size": 400_000,
        "learning_starts": 2_000,
        "normalize_obs": not pendulum,
        "log_steps": 1_600 if pendulum else 4_000,
        "eval_steps": steps // 20,
        "checkpoint_steps": steps // 10,
        "eval_episodes": 16,
    }


def _parallel_run(env: str) -> dict[str, Any]:
    return {
        "total_steps": 100_000_000,
        "num_envs": 4096,
        "updates_per_step": 2,
        "batch_size": 8192,
        "replay_size": 4_096_000,
        "learning_starts": 40_960,
        "normalize_obs": False,
        "log_steps": 409_600,
        "eval_steps": 4_096_000,
        "checkpoint_steps": 20_480_000,
        "eval_episodes": 128,
    }


def _baseline(preset: str, env: str) -> Values:
    if preset == "paper":
        return {}, {}
    lr = _quick_lr(env) if preset == "quick" else 3e-4
    agent = _scaled(env) | {"critic_lr": lr, "entropy_critic_lr": lr, "policy_lr": lr, "init_log_alpha": -3.0, "tau": 0.05}
    if preset == "quick":
        agent |= {"hidden": (128, 128), "tau": 0.02, "delay": 1} | _narrow_era(env)
    return agent, {}


def _fast(preset: str, env: str) -> Values:
    if preset == "paper":
        # FastTD3 keeps 51200 steps of each of 128 worlds and updates twice per step with 32768 transitions.
        run = {
            "total_steps": 12_800_000,
            "num_envs": 128,
            "updates_per_step": 2,
            "batch_size": 32768,
            "replay_size": 128 * 51200,
            "learning_starts": 32768,
            "normalize_obs": True,
            "log_steps": 12_800,
            "eval_steps": 640_000,
            "checkpoint_steps": 1_280_000,
        }
        return {}, run
    scaled = _scaled(env)
    if preset == "parallel":
        return scaled, {"batch_size": 32768, "normalize_obs": True}
    lr = _quick_lr(env)
    agent: dict[str, Any] = {
        "policy_hidden": (128, 128),
        "critic_hidden": (128, 128),
        "policy_lr": lr,
        "critic_lr": lr,
        "weight_decay": 0.001,
        "noise_range": (0.001, 0.1),
        "tau": 0.05,
        "delay": 1,
    }
    return agent | scaled | _narrow_era(env), {"normalize_obs": True}


def _scaled(env: str) -> dict[str, Any]:
    return {
        "reward_scale": 0.1,
        "value_range": VALUE_RANGE.get(env, (-150.0, 150.0)),
        "num_atoms": NUM_ATOMS.get(env, 101),
    }


def _on_policy(preset: str, env: str) -> Values:
    run: dict[str, Any] = dict.fromkeys(REPLAY_FIELDS, 0)
    if preset == "paper":
        return {}, run
    run["normalize_obs"] = True
    if preset == "parallel":
        return {"rollout_steps": 16, "epochs": 4, "minibatches": 16}, run
    return {"rollout_steps": 128, "minibatches": 32}, run


def _quick_lr(env: str) -> float:
    return 1e-3 if env in PENDULUMS else 3e-4


def _narrow_era(env: str) -> dict[str, Any]:
    return {"entropy_per_dim": -1.0} if env in PENDULUMS else {}


def _flash(preset: str, env: str) -> Values:
    agent: dict[str, Any] = {"n_step": 3}
    run: dict[str, Any] = {"normalize_reward": True, "normalize_obs": False}
    if preset == "paper":
        run |= {
            "total_steps": 50_000_000,
            "num_envs": 1024,
            "updates_per_step": 2,
            "batch_size": 2048,
            "replay_size": 10_000_000,
            "learning_starts": 100_000,
            "log_steps": 102_400,
            "eval_steps": 1_024_000,
            "checkpoint_steps": 10_240_000,
        }
    elif preset == "quick":
        lr = _quick_lr(env)
        agent = {"policy_blocks": 1, "policy_width": 64, "critic_blocks": 1, "critic_width": 128}
        agent |= {"lr": lr, "final_lr": lr / 2, "tau": 0.02, "delay": 1}
    return agent, run


_RUNS = {"paper": _paper_run, "quick": _quick_run, "parallel": _parallel_run}

_FAMILIES: dict[type, Callable[[str, str], Values]] = {
    BaselineConfig: _baseline,
    ParallelConfig: _fast,
    OnPolicyConfig: _on_policy,
    FlashSACConfig: _flash,
}

_THOUSANDS = {
    "total_steps": 100_000_000,
    "learning_starts": 40_960,
    "log_steps": 409_600,
    "eval_steps": 4_096_000,
    "checkpoint_steps": 20_480_000,
}

_OWN: dict[tuple[str, str], Callable[[str], Values]] = {
    ("dsac_e", "paper"): lambda env: ({"rho": RHO.get(env, 1.0)}, {}),
    ("dsac_e", "quick"): lambda env: ({"rho": RHO.get(env, 1.0)}, {}),
    ("dsac_e", "parallel"): lambda env: ({"rho": RHO.get(env, 1.0)}, {}),
    # One world, and two updates after each of its steps.
    ("sac_era", "paper"): lambda env: (
        {},
        {"total_steps": 1_000_000, "num_envs": 1, "updates_per_step": 2, "learning_starts": 5_000, "eval_steps": 10_000},
    ),
    ("fast_sac", "paper"): lambda env: (
        {},
        {"num_envs": 4096, "updates_per_step": 8, "batch_size": 8192, "replay_size": 4096 * 1024} | _THOUSANDS,
    ),
    ("fast_sac", "quick"): lambda env: ({"discount": 0.99}, {}),
    ("td3", "paper"): lambda env: ({}, {"random_start": True}),
    ("td3", "quick"): lambda env: ({"delay": 2}, {"random_start": True}),
    ("td3", "parallel"): lambda env: ({}, {"random_start": True}),
    ("ddpg", "paper"): lambda env: ({}, {"random_start": True}),
    ("ddpg", "quick"): lambda env: ({}, {"random_start": True}),
    ("ddpg", "parallel"): lambda env: ({}, {"random_start": True}),
}
"""Where an agent departs from its family."""

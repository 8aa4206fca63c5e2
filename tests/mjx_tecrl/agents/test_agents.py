"""Every named agent with a replay on the probe tasks, and the registry."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import AGENTS, Agent, Batch, named_agent
from mjx_tecrl.critics import Critic, categorical_critic, gaussian_critic, scalar_critic
from mjx_tecrl.networks import mlp, residual
from mjx_tecrl.replay import sample
from tests.mjx_tecrl.probes import BEST_ACTION, DISCOUNT, PROBES, SPEC, collect
from tests.runs import long_but

# Small networks and fast learning; the reward scale is not 1, so that a forgotten one shows.
BASELINE = {
    "hidden": (32,),
    "critic_lr": 5e-3,
    "policy_lr": 3e-3,
    "discount": DISCOUNT,
    "tau": 0.05,
    "reward_scale": 0.5,
}
# The temperature is small and falls: entropy inside the action value would not be the reward's.
TEMPERATURE = BASELINE | {"alpha_lr": 1e-2, "init_log_alpha": -5.0, "rho": 3.0}
PARALLEL = {
    "policy_hidden": (32,),
    "critic_hidden": (32,),
    "num_atoms": 41,
    "value_range": (-3.0, 3.0),
    "critic_lr": 5e-3,
    "policy_lr": 3e-3,
    "weight_decay": 1e-3,
    "discount": DISCOUNT,
    "reward_scale": 0.5,
}
CONSTANTS: dict[str, dict[str, Any]] = {
    "dsac_e": TEMPERATURE | {"init_log_alpha": -2.0, "rho": 0.3, "entropy_critic_lr": 5e-3},
    "dsac_t": TEMPERATURE,
    "dsac": TEMPERATURE,
    "sac": TEMPERATURE,
    "sac_era": BASELINE,
    "td3": BASELINE,
    "ddpg": BASELINE,
    "fast_td3": PARALLEL,
    "fast_sac": PARALLEL | {"alpha_lr": 1e-2, "rho": 3.0},
    "fast_sac_era": PARALLEL,
    "flash_sac": {
        "policy_blocks": 1,
        "policy_width": 16,
        "critic_blocks": 1,
        "critic_width": 64,  # bounds the logits by its root: a narrower critic cannot be certain among so many atoms
        "num_atoms": 31,
        "value_range": (-3.0, 3.0),
        "lr": 5e-3,
        "final_lr": 1e-4,
        "decay_updates": 1000,
        "discount": DISCOUNT,
        "tau": 0.02,
        "reward_scale": 0.5,
        "rho": 3.0,
    },
}
OFF_POLICY = tuple(CONSTANTS)
UPDATES = 1000

# Compositions that a user makes by flags of the command line. Every choice of DSAC-E occurs in one of them, but the network:
# `test_compositions` exchanges that.
COMPOSITIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "ERA head, categorical critics, n-step": (
        "dsac_e",
        {"policy": "era_gaussian", "entropy_per_dim": -1.0, "rho": 1.0, "n_step": 3}
        | {"critic": "categorical", "num_atoms": 41, "value_range": (-3.0, 3.0)},
    ),
    "five scalar critics, twin normalized entropy critics": (
        "dsac_e",
        {"critic": "scalar", "critics": 5, "entropy_critics": 2, "normalized_entropy_critic": True},
    ),
    "one critic, online policy, terminal entropy": (
        "dsac_e",
        {"critics": 1, "target_policy": False, "terminal_entropy": True},
    ),
    "adaptive budget": ("dsac_e", {"rho_price": 0.2, "rho_lr": 1e-3}),
    "unguided": ("dsac_e", {"entropy": "unguided"}),
    "separated": ("dsac_e", {"entropy": "separated"}),
    "in value": ("dsac_e", {"entropy": "in_value", "init_log_alpha": -5.0, "rho": 3.0}),
    "fixed": ("dsac_e", {"entropy": "fixed", "init_log_alpha": -7.0, "rho": 1.0}),
    "sac, n-step, five critics": ("sac", {"n_step": 2, "critics": 5}),
    "fast_sac_era, n-step": ("fast_sac_era", {"n_step": 3}),
}
SHORT = tuple(COMPOSITIONS)[:4]
"""the compositions that are always tested"""
EVERYTHING = COMPOSITIONS | {name: (name, {}) for name in OFF_POLICY}


def critic_of(name: str, config: Any) -> Critic:
    """The agent's critic, to read its values from the agent's state."""
    if name == "flash_sac":
        network = residual(config.critic_blocks, config.critic_width)
        return categorical_critic(SPEC, network, num_atoms=config.num_atoms, value_range=config.value_range)
    if name.startswith("fast"):
        sac = name == "fast_sac"
        network = mlp(config.critic_hidden, "silu" if sac else "relu", layer_norm=sac)
        return categorical_critic(
            SPEC, network, num_atoms=config.num_atoms, value_range=config.value_range, pessimistic=not sac
        )
    kind = getattr(config, "critic", "gaussian" if name.startswith("dsac") else "scalar")
    if kind == "categorical":
        return categorical_critic(SPEC, mlp(config.hidden), num_atoms=config.num_atoms, value_range=config.value_range)
    if kind == "gaussian":
        return gaussian_critic(SPEC, mlp(config.hidden))
    return scalar_critic(SPEC, mlp(config.hidden, "relu", layer_norm=True) if name == "sac_era" else mlp(config.hidden))


@functools.cache
def programs(composition: str) -> tuple[Agent, Any, Any]:
    """An agent; ``train: (state, replay, key) -> (state, metrics)``; ``value: (state, obs, action) -> values``."""
    name, choices = EVERYTHING[composition]
    config = named_agent(name).Config(**CONSTANTS[name] | choices)
    agent = named_agent(name).make(config, SPEC)

    # The program runs for longer than it compiles, so optimisation pays here.
    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": "2"})
    def train(state: Any, replay: Any, key: jax.Array) -> Any:
        def step(state: Any, key: jax.Array) -> Any:
            key_sample, key_update = jax.random.split(key)
            batch: Batch = sample(replay, key_sample, 64, agent.n_step, agent.discount)
            return agent.update(state, batch, key_update)

        return jax.lax.scan(step, state, jax.random.split(key, UPDATES))

    critic = critic_of(name, config)
    return agent, train, jax.jit(lambda state, obs, action: critic.value(state.params.critic, obs, action))


def trained(composition: str, probe: str, rounds: int = 1) -> tuple[Any, Any]:
    """The state after learning from uniform actions, and the last metrics."""
    agent, train, _ = programs(composition)
    state = jax.jit(agent.init)(jax.random.key(1))
    for i in range(rounds):
        state, metrics = train(state, collect(probe), jax.random.key(2 + i))
        assert float(metrics["skipped"].sum()) == 0
    return state, jax.device_get(metrics)


# flash_sac takes as long as all others together; the test after this one has it always, on another probe.
@pytest.mark.parametrize("composition", long_but({*OFF_POLICY, *SHORT} - {"flash_sac"}, EVERYTHING))
def test_values_are_the_exact_ones(composition: str) -> None:
    agent, _, value = programs(composition)
    for probe in (name for name, probe in PROBES.items() if probe.value):
        state, _ = trained(composition, probe)
        rows = jax.device_get(collect(probe).rows)
        obs, action = rows.obs.reshape(-1, 2), rows.action.reshape(-1, 1)
        exact = 0.5 * np.array([PROBES[probe].value(o, a) for o, a in zip(obs, action[:, 0], strict=True)])
        # Final observations have no value, and the networks have seen little at the edges of the actions' range.
        known = rows.valid.ravel() & (np.abs(action[:, 0]) < 0.9)
        np.testing.assert_allclose(np.asarray(value(state, obs, action))[known], exact[known], atol=0.1, err_msg=probe)
        # Where all observations are equal, batch normalisation divides their rounding errors by a deviation of about 0.
        if probe == "action" and composition != "flash_sac":
            best = agent.act(state, jnp.array([[1.0, 0.0]]), None, "deterministic")
            assert float(best[0, 0]) == pytest.approx(BEST_ACTION, abs=0.15)


def test_flash_sac_finds_the_best_action_where_observations_differ() -> None:
    state, _ = trained("flash_sac", "varied")
    agent, _, value = programs("flash_sac")
    obs = jnp.stack([jnp.ones(9), jnp.linspace(-0.8, 0.8, 9)], -1)
    np.testing.assert_allclose(agent.act(state, obs, None, "deterministic"), BEST_ACTION, atol=0.15)
    np.testing.assert_allclose(value(state, obs, jnp.full((9, 1), BEST_ACTION)), 0.5, atol=0.1)


def test_dsac_e_keeps_the_trajectory_entropy_at_its_budget() -> None:
    # The budget is 0.3 times -1 action / (1 - 0.5), which is -0.6 nats over the trajectory and -0.3 on every step.
    state, metrics = trained("dsac_e", "narrow", rounds=4)
    late = {key: float(np.nanmean(x[UPDATES // 2 :])) for key, x in metrics.items()}
    assert late["trajectory_entropy"] == pytest.approx(-0.6, abs=0.1)
    assert late["budget_gap"] == pytest.approx(0, abs=0.1)
    assert late["entropy"] == pytest.approx(-0.3, abs=0.1)
    assert late["entropy_to_go"] == pytest.approx(-0.3, abs=0.1)
    # The policy exp(Q / alpha) is nearly normal with variance alpha / (4 reward_scale), so its entropy determines alpha.
    expected = np.log(4 * 0.5 * np.exp(2 * -0.3) / (2 * np.pi * np.e))
    assert float(state.params.temperature) == pytest.approx(expected, abs=0.4)


def test_an_adaptive_budget_comes_to_rest_where_entropy_has_its_price() -> None:
    _, metrics = trained("adaptive budget", "action", rounds=4)
    late = {key: float(np.nanmean(x[UPDATES // 2 :])) for key, x in metrics.items()}
    assert late["price"] == pytest.approx(0.2, rel=0.1)
    assert late["budget_gap"] == pytest.approx(0, abs=0.05)
    # The value is nearly the best action's, 0.5. It determines alpha, and alpha determines the entropy, as above.
    alpha = 0.2 * (1 - DISCOUNT) * 0.5
    assert late["entropy"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * alpha / (4 * 0.5)), abs=0.1)


@pytest.mark.parametrize(("typo", "meant"), [("dsace", "dsac_e"), ("fastsac", "fast_sac"), ("DSAC-E", "dsac_e")])
def test_an_unknown_name_is_answered_with_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"unknown agent '{typo}'; did you mean .*{meant}"):
        named_agent(typo)


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(ValueError, match=", ".join(sorted(AGENTS))):
        named_agent("zzz")


@pytest.mark.parametrize(
    ("name", "constants", "message"),
    [
        *[(name, {"tau": 0.0}, "tau must be in") for name in OFF_POLICY],
        *[(name, {"discount": 1.0}, "discount must be in") for name in OFF_POLICY],
        *[(name, {"delay": 0}, "delay must be at least 1") for name in OFF_POLICY],
        *[(name, {"n_step": 0}, "n_step must be at least 1") for name in OFF_POLICY],
        *[(name, {"critics": 0}, "at least 1 critic, not 0") for name in OFF_POLICY if name not in ("dsac", "ddpg")],
        *[
            (name, {"rho": -1.0}, "actions in .* have at most 0.693")
            for name in ("dsac_e", "dsac_t", "dsac", "sac", "flash_sac")
        ],
        ("dsac_e", {"entropy": "fixed", "rho": 3.0}, "rho has no effect on a fixed temperature"),
        ("dsac_e", {"entropy": "separated", "rho_price": 0.01}, "rho_price adapts the trajectory's budget"),
        ("dsac_e", {"entropy_critics": 0}, "at least 1 entropy critic, not 0"),
        ("td3", {"noise": -0.1}, "exploration noise needs"),
        ("td3", {"smoothing": (-0.1, 0.5)}, "smoothing noise and its bound must not be negative"),
        ("fast_sac_era", {"value_range": (1.0, -1.0)}, "value_range must be an increasing pair"),
        ("fast_sac_era", {"num_atoms": 1}, "num_atoms must be at least 2"),
        ("fast_sac_era", {"entropy_per_dim": 1.5}, "cannot be reached"),
        ("fast_sac_era", {"noise_range": (0.4, 0.1)}, "exploration noise needs"),
        ("flash_sac", {"value_range": (1.0, -1.0)}, "value_range must be an increasing pair"),
        ("flash_sac", {"log_std_range": (2.0, -10.0)}, "log_std_range must be an increasing pair"),
        ("flash_sac", {"policy_blocks": 0}, "at least 1 block"),
        ("flash_sac", {"critic_width": 0}, "a width of at least 1"),
        ("flash_sac", {"decay_updates": 0}, "decay_updates must be at least 1"),
        ("flash_sac", {"lr": 0.0}, "lr must be positive"),
        ("flash_sac", {"repeat_most": 0}, "repeated noise needs"),
    ],
)
def test_bad_constants_are_refused(name: str, constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        named_agent(name).make(named_agent(name).Config(**constants), SPEC)


def test_the_defaults_are_the_papers() -> None:
    config = {name: agent.Config() for name, agent in AGENTS.items()}
    for name in ("dsac_e", "dsac_t", "dsac", "sac", "td3", "ddpg"):
        c = config[name]
        assert (c.hidden, c.discount, c.tau, c.reward_scale, c.n_step) == ((256, 256, 256), 0.99, 0.005, 0.1, 1)
        assert (c.critic_lr, c.policy_lr) == (1e-4, 1e-4)
        assert c.delay == (1 if name in ("sac", "ddpg") else 2)
    for name in ("dsac_e", "dsac_t", "dsac", "sac"):
        assert (config[name].alpha_lr, config[name].init_log_alpha, config[name].rho) == (3e-4, 1, 1)
    dsac_e = config["dsac_e"]
    assert (dsac_e.critics, dsac_e.entropy_critics, dsac_e.entropy_critic_lr, dsac_e.zeta) == (2, 1, 1e-4, 3)
    assert (dsac_e.policy, dsac_e.critic, dsac_e.entropy, dsac_e.target_policy) == (
        "tanh_gaussian",
        "gaussian",
        "trajectory",
        True,
    )
    assert (config["td3"].noise, config["td3"].smoothing, config["ddpg"].noise) == (0.1, (0.2, 0.5), 0.1)
    era = config["sac_era"]
    assert (era.hidden, era.critic_lr, era.policy_lr, era.tau, era.delay) == ((512, 512), 3e-4, 3e-4, 0.005, 1)
    assert (era.entropy_per_dim, era.log_std_range, era.reward_scale) == (0.25, (-8, 0), 1)
    for name in ("fast_td3", "fast_sac_era"):
        c = config[name]
        assert (c.policy_hidden, c.critic_hidden, c.critics) == ((512, 256, 128), (1024, 512, 256), 2)
        assert (c.num_atoms, c.value_range, c.noise_range) == (101, (-250, 250), (0.001, 0.4))
        assert (c.critic_lr, c.policy_lr, c.weight_decay, c.tau, c.discount) == (3e-4, 3e-4, 0.1, 0.1, 0.99)
    assert (config["fast_td3"].delay, config["fast_td3"].smoothing) == (2, (0.001, 0.5))
    fast = config["fast_sac_era"]
    assert (fast.delay, fast.entropy_per_dim, fast.log_std_range, fast.n_step) == (1, 0.25, (-8, 0), 1)
    fast = config["fast_sac"]
    assert (fast.policy_hidden, fast.critic_hidden, fast.value_range) == ((512, 256, 128), (768, 384, 192), (-20, 20))
    assert (fast.discount, fast.tau, fast.weight_decay, fast.delay, fast.rho) == (0.97, 0.125, 0.001, 4, 0)
    assert np.exp(fast.init_log_alpha) == pytest.approx(0.001)
    flash = config["flash_sac"]
    assert (flash.policy_blocks, flash.policy_width, flash.critic_blocks, flash.critic_width) == (2, 128, 2, 256)
    assert (flash.critics, flash.num_atoms, flash.value_range, flash.log_std_range) == (2, 101, (-5, 5), (-10, 2))
    assert (flash.lr, flash.final_lr, flash.discount, flash.tau, flash.delay) == (3e-4, 1.5e-4, 0.99, 0.01, 2)
    assert (flash.n_step, flash.repeat_exponent, flash.repeat_most) == (1, 2, 16)
    assert np.exp(flash.init_log_alpha) == pytest.approx(0.01)
    # The entropy of a Gaussian whose standard deviation is 0.15.
    assert -flash.rho == pytest.approx(np.log(0.15 * np.sqrt(2 * np.pi * np.e)), abs=1e-4)

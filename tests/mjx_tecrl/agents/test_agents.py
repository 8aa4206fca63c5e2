"""Every named agent with a replay on the probe tasks, and the registry."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import AGENTS, Agent, Batch, named_agent
from mjx_tecrl.critics import Critic, categorical_critic, gaussian_critic
from mjx_tecrl.replay import sample
from tests.mjx_tecrl.probes import BEST_ACTION, DISCOUNT, PROBES, SPEC, collect

# Small networks and fast learning; the reward scale is not 1, so that a forgotten one shows.
CONSTANTS: dict[str, dict[str, Any]] = {
    "dsac_e": {
        "hidden": (32,),
        "critic_lr": 5e-3,
        "entropy_critic_lr": 5e-3,
        "policy_lr": 3e-3,
        "alpha_lr": 1e-2,
        "init_log_alpha": -2.0,
        "rho": 0.3,
        "discount": DISCOUNT,
        "tau": 0.05,
        "reward_scale": 0.5,
    },
    "fast_sac_era": {
        "policy_hidden": (32,),
        "critic_hidden": (32,),
        "num_atoms": 41,
        "value_range": (-3.0, 3.0),
        "critic_lr": 5e-3,
        "policy_lr": 3e-3,
        "weight_decay": 1e-3,
        "discount": DISCOUNT,
        "reward_scale": 0.5,
    },
}
UPDATES = 1000


def critic_of(name: str) -> Critic:
    """The agent's critic, to read its values from the agent's state."""
    constants = CONSTANTS[name]
    if name == "dsac_e":
        return gaussian_critic(SPEC, constants["hidden"])
    return categorical_critic(
        SPEC, constants["critic_hidden"], num_atoms=constants["num_atoms"], value_range=constants["value_range"]
    )


@functools.cache
def programs(name: str) -> tuple[Agent, Any, Any, Any]:
    """An agent; ``init``; ``train: (state, replay, key) -> (state, metrics)``; ``value: (state, obs, action) -> values``."""
    agent = named_agent(name).make(named_agent(name).Config(**CONSTANTS[name]), SPEC)

    @jax.jit
    def train(state: Any, replay: Any, key: jax.Array) -> Any:
        def step(state: Any, key: jax.Array) -> Any:
            key_sample, key_update = jax.random.split(key)
            batch: Batch = sample(replay, key_sample, 64, agent.n_step, agent.discount)
            return agent.update(state, batch, key_update)

        return jax.lax.scan(step, state, jax.random.split(key, UPDATES))

    critic = critic_of(name)
    value = jax.jit(lambda state, obs, action: critic.value(state.params.critic, obs, action))
    return agent, jax.jit(agent.init), train, value


def trained(name: str, probe: str, rounds: int = 1) -> tuple[Any, Any]:
    """The state after learning from uniform actions, and the last metrics."""
    _, init, train, _ = programs(name)
    state = init(jax.random.key(1))
    for i in range(rounds):
        state, metrics = train(state, collect(probe), jax.random.key(2 + i))
        assert float(metrics["skipped"].sum()) == 0
    return state, jax.device_get(metrics)


@pytest.mark.parametrize("probe", [name for name, probe in PROBES.items() if probe.value])
@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_values_are_the_exact_ones(name: str, probe: str) -> None:
    state, _ = trained(name, probe)
    agent, _, _, value = programs(name)
    rows = jax.device_get(collect(probe).rows)
    obs, action = rows.obs.reshape(-1, 2), rows.action.reshape(-1, 1)
    exact = 0.5 * np.array([PROBES[probe].value(o, a) for o, a in zip(obs, action[:, 0], strict=True)])
    # Final observations have no value, and at the edges of the actions' range the networks have seen little.
    known = rows.valid.ravel() & (np.abs(action[:, 0]) < 0.9)
    np.testing.assert_allclose(np.asarray(value(state, obs, action))[known], exact[known], atol=0.1)
    if probe == "action":
        best = agent.act(state, jnp.array([[1.0, 0.0]]), None, "deterministic")
        assert float(best[0, 0]) == pytest.approx(BEST_ACTION, abs=0.15)


def test_dsac_e_keeps_the_trajectory_entropy_at_its_budget() -> None:
    # 0.3 times -1 action / (1 - 0.5): -0.6 nats over the trajectory, that is -0.3 on every step.
    state, metrics = trained("dsac_e", "narrow", rounds=4)
    late = {key: float(np.nanmean(x[UPDATES // 2 :])) for key, x in metrics.items()}
    assert late["trajectory_entropy"] == pytest.approx(-0.6, abs=0.1)
    assert late["budget_gap"] == pytest.approx(0, abs=0.1)
    assert late["entropy"] == pytest.approx(-0.3, abs=0.1)
    assert late["entropy_to_go"] == pytest.approx(-0.3, abs=0.1)
    # The policy exp(Q / alpha) is nearly normal with variance alpha / (4 reward_scale): its entropy names alpha.
    expected = np.log(4 * 0.5 * np.exp(2 * -0.3) / (2 * np.pi * np.e))
    assert float(state.params.log_alpha) == pytest.approx(expected, abs=0.4)


@pytest.mark.parametrize(("typo", "meant"), [("dsace", "dsac_e"), ("fast_sac", "fast_sac_era"), ("DSAC-E", "dsac_e")])
def test_an_unknown_name_is_answered_with_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"unknown agent '{typo}'; did you mean .*{meant}"):
        named_agent(typo)


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(ValueError, match=", ".join(sorted(AGENTS))):
        named_agent("zzz")


@pytest.mark.parametrize(
    ("name", "constants", "message"),
    [
        ("dsac_e", {"tau": 0.0}, "tau must be in"),
        ("dsac_e", {"discount": 1.0}, "discount must be in"),
        ("dsac_e", {"delay": 0}, "delay must be at least 1"),
        ("dsac_e", {"critics": 0}, "there must be at least 1 critic, not 0"),
        ("fast_sac_era", {"tau": 0.0}, "tau must be in"),
        ("fast_sac_era", {"discount": 1.0}, "discount must be in"),
        ("fast_sac_era", {"delay": 0}, "delay must be at least 1"),
        ("fast_sac_era", {"critics": 0}, "there must be at least 1 critic, not 0"),
        ("fast_sac_era", {"value_range": (1.0, -1.0)}, "value_range must be an increasing pair"),
        ("fast_sac_era", {"num_atoms": 1}, "num_atoms must be at least 2"),
        ("fast_sac_era", {"entropy_per_dim": 1.5}, "cannot be reached"),
        ("fast_sac_era", {"noise_range": (0.4, 0.1)}, "exploration noise needs"),
    ],
)
def test_bad_constants_are_refused(name: str, constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        named_agent(name).make(named_agent(name).Config(**constants), SPEC)


def test_the_defaults_are_the_papers() -> None:
    dsac_e, fast = AGENTS["dsac_e"].Config(), AGENTS["fast_sac_era"].Config()
    assert (dsac_e.hidden, dsac_e.critics, dsac_e.discount, dsac_e.tau) == ((256, 256, 256), 2, 0.99, 0.005)
    assert (dsac_e.critic_lr, dsac_e.entropy_critic_lr, dsac_e.policy_lr, dsac_e.alpha_lr) == (1e-4, 1e-4, 1e-4, 3e-4)
    assert (dsac_e.init_log_alpha, dsac_e.rho, dsac_e.delay, dsac_e.reward_scale, dsac_e.zeta) == (1, 1, 2, 0.1, 3)
    assert (fast.policy_hidden, fast.critic_hidden, fast.critics) == ((512, 256, 128), (1024, 512, 256), 2)
    assert (fast.num_atoms, fast.value_range, fast.noise_range) == (101, (-250, 250), (0.001, 0.4))
    assert (fast.critic_lr, fast.policy_lr, fast.weight_decay, fast.tau, fast.delay) == (3e-4, 3e-4, 0.1, 0.1, 1)
    assert (fast.entropy_per_dim, fast.log_std_range, fast.n_step, fast.reward_scale) == (0.25, (-8, 0), 1, 1)

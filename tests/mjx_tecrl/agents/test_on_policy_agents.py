"""Every named on-policy agent on the probe tasks."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import AGENTS, OnPolicyAgent, named_agent
from mjx_tecrl.networks import mlp
from mjx_tecrl.values import value_head
from tests.mjx_tecrl.probes import BEST_ACTION, DISCOUNT, PROBES, SPEC, WORLDS, roll_out

SMALL: dict[str, Any] = {
    "hidden": (16,),
    "value_lr": 3e-3,
    "discount": DISCOUNT,
    "rollout_steps": 16,
    "epochs": 4,
    "minibatches": 4,
    "reward_scale": 0.5,
}
# The reward scale is not 1, so that a forgotten one shows.
CONSTANTS: dict[str, dict[str, Any]] = {
    "ppo": SMALL | {"policy_lr": 3e-3},
    "ppo_era": SMALL | {"policy_lr": 3e-3, "entropy_per_dim": -1.0},
    "trpo": SMALL,
    "eapo": SMALL | {"policy_lr": 3e-3, "entropy_discount": 0.25},
}
UPDATES = 120
STEPS = 16


def build(name: str, **changes: Any) -> OnPolicyAgent:
    agent = named_agent(name).make(named_agent(name).Config(**CONSTANTS[name] | changes), SPEC)
    assert isinstance(agent, OnPolicyAgent)
    return agent


@functools.cache
def trained(name: str, probe: str) -> tuple[OnPolicyAgent, Any, Any]:
    """The agent, its state after some rollouts, and the metrics of each update."""
    agent = build(name)

    @jax.jit
    def train(key: jax.Array) -> Any:
        def step(state: Any, key: jax.Array) -> Any:
            key_act, key_update = jax.random.split(key)
            act = lambda obs, key: agent.act(state, obs, key, "sample")  # noqa: E731
            return agent.update(state, roll_out(probe, act, key_act, STEPS), key_update)

        key, key_init = jax.random.split(key)
        return jax.lax.scan(step, agent.init(key_init), jax.random.split(key, UPDATES))

    state, metrics = jax.device_get(train(jax.random.key(0)))
    assert metrics["skipped"].sum() == 0
    return agent, state, metrics


def values(name: str, state: Any, obs: Any, stream: int = 0) -> np.ndarray:
    head = value_head(SPEC, mlp(CONSTANTS[name]["hidden"], "tanh"), popart=0.1 if name == "eapo" else 0.0)
    return np.asarray(head.value(state.values[stream], state.target_stats[stream], jnp.float32(obs)))


def test_all_on_policy_agents_are_tested() -> None:
    on_policy = {name for name, kind in AGENTS.items() if isinstance(kind.make(kind.Config(), SPEC), OnPolicyAgent)}
    assert on_policy == set(CONSTANTS)


@pytest.mark.parametrize("name", sorted(CONSTANTS))
@pytest.mark.parametrize("probe", ["constant", "seen", "two_steps", "endless"])
def test_values_are_the_exact_ones(name: str, probe: str) -> None:
    _, state, metrics = trained(name, probe)
    obs = {"seen": [[x, 0.0] for x in (-0.8, -0.4, 0.0, 0.5, 0.8)], "two_steps": [[1.0, 0.0], [0.0, 1.0]]}.get(
        probe, [[1.0, 0.0]]
    )
    exact = [0.5 * PROBES[probe].value(o, 0.0) for o in obs]  # type: ignore[misc]
    np.testing.assert_allclose(values(name, state, obs), exact, atol=0.05)
    if probe == "endless":
        assert metrics["entropy"].shape == (UPDATES,)


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_the_best_action_is_found(name: str) -> None:
    agent, state, metrics = trained(name, "action")
    best = agent.act(state, jnp.array([[1.0, 0.0]]), None, "deterministic")
    assert float(best[0, 0]) == pytest.approx(BEST_ACTION, abs=0.12)
    late = {key: x[-20:].mean(0) for key, x in metrics.items()}
    expected = 0.5 * (1 - 2 * late["std"][0] ** 2)  # a little less where samples are clipped or truncated
    assert values(name, state, [[1.0, 0.0]])[0] == pytest.approx(expected, abs=0.12)
    assert metrics["std"][-1, 0] < 0.8 * metrics["std"][0, 0] or name == "ppo_era"
    if name == "trpo":
        assert metrics["kl"].max() <= 0.0101
        assert late["kl"] > 0.001


def test_ppo_era_keeps_its_floor() -> None:
    # With one action, the underlying Gaussian's entropy is always the floor, -1 nat.
    _, _, metrics = trained("ppo_era", "action")
    np.testing.assert_allclose(metrics["std"][:, 0], np.exp(-1) / np.sqrt(2 * np.pi * np.e), rtol=1e-3)


def test_eapo_values_the_entropy_to_come() -> None:
    # Every step of an episode without end adds the policy's entropy: H / (1 - gamma_H), which a truncation does not cut.
    _, state, metrics = trained("eapo", "endless")
    # The entropy rises to the end, by 0.05 nats per rollout, and its value follows a few rollouts behind.
    entropy = metrics["entropy"][-5:].mean()
    assert values("eapo", state, [[1.0, 0.0]], stream=1)[0] == pytest.approx(entropy / (1 - 0.25), abs=0.2)


def test_eapo_keeps_more_entropy_than_ppo() -> None:
    """Where no reward depends on the action, the entropy advantage widens the policy."""
    _, _, metrics = trained("eapo", "endless")
    assert metrics["entropy"][-1] > metrics["entropy"][0] + 0.3


@pytest.mark.parametrize(
    ("name", "constants", "message"),
    [
        ("ppo", {"clip": 0.0}, "clip must be greater than 0"),
        ("ppo_era", {"clip": -0.1}, "clip must be greater than 0"),
        ("ppo_era", {"entropy_per_dim": 1.5}, "cannot be reached"),
        ("trpo", {"max_kl": 0.0}, "max_kl must be greater than 0"),
        ("ppo", {"gae_lambda": 1.1}, r"gae_lambda must be in \[0, 1\], not 1.1"),
        ("eapo", {"entropy_gae_lambda": -0.1}, r"gae_lambda must be in \[0, 1\], not -0.1"),
        ("eapo", {"entropy_discount": 1.0}, r"discount must be in \[0, 1\), not 1.0"),
        ("trpo", {"discount": 1.0}, r"discount must be in \[0, 1\), not 1.0"),
        ("ppo", {"epochs": 0}, "epochs must be at least 1, not 0"),
        ("eapo", {"minibatches": 0}, "minibatches must be at least 1, not 0"),
        ("trpo", {"rollout_steps": 0}, "rollout_steps must be at least 1, not 0"),
        ("ppo", {"max_grad_norm": 0.0}, "max_grad_norm must be greater than 0"),
        ("eapo", {"popart": 2.0}, r"popart must be in \[0, 1\]"),
    ],
)
def test_bad_constants_are_refused(name: str, constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, **constants)


def test_minibatches_that_do_not_divide_the_rollout_are_refused() -> None:
    agent = build("ppo", minibatches=7)
    state = agent.init(jax.random.key(0))
    rollout = roll_out("constant", lambda obs, key: obs[:, :1], jax.random.key(0), STEPS)
    with pytest.raises(ValueError, match=f"minibatches must divide the {STEPS * WORLDS} rows of a rollout, not 7"):
        agent.update(state, rollout, jax.random.key(0))


def test_the_defaults_are_those_of_the_papers() -> None:
    ppo, era, trpo, eapo = (AGENTS[name].Config() for name in ("ppo", "ppo_era", "trpo", "eapo"))
    for config in (ppo, era, trpo, eapo):
        assert (config.hidden, config.discount, config.gae_lambda) == ((64, 64), 0.99, 0.95)
        assert config.rollout_steps * 20 == 2000
    for config in (ppo, era, eapo):
        assert (config.policy_lr, config.clip, config.epochs) == (3e-4, 0.2, 10)
    assert (trpo.max_kl, trpo.cg_iterations, trpo.damping) == (0.01, 10, 0.1)
    assert (era.entropy_per_dim, eapo.temperature) == (0.25, 0.02)
    assert not hasattr(era, "entropy_bonus")

"""Every policy head, critic and network goes with every other."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mjx_tecrl import AGENTS, Batch, Spec
from mjx_tecrl.critics import Critic, categorical_critic, gaussian_critic, scalar_critic
from mjx_tecrl.entropy import no_entropy, separated_entropy, trajectory_budget
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.networks import Architecture, mlp, residual
from mjx_tecrl.off_policy import Learned, Schedule, compose
from mjx_tecrl.policies import Policy, deterministic, era_gaussian, gaussian, tanh_gaussian
from tests.runs import long_but

SPEC = Spec(obs_size=3, action_size=2, privileged_size=1)
NETWORKS: dict[str, Architecture] = {"mlp": mlp((4,)), "residual": residual(1, 4)}
HEADS: dict[str, Callable[[Spec, Architecture], Policy]] = {
    "deterministic": deterministic,
    "era_gaussian": era_gaussian,
    "gaussian": gaussian,
    "tanh_gaussian": tanh_gaussian,
}
CRITICS: dict[str, Callable[[Spec, Architecture], Critic]] = {
    "categorical": lambda spec, network: categorical_critic(spec, network, num_atoms=5),
    "gaussian": gaussian_critic,
    "scalar": scalar_critic,
}


def make_batch() -> Batch:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    weight = np.float32([1] * 7 + [0])
    return Batch(draw(8, 4), np.tanh(draw(8, 2)), draw(8), np.full(8, 0.9, np.float32), draw(8, 4), weight)


def statistics(params: Any) -> dict[str, Any]:
    """All batch statistics somewhere in a pytree."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {name: leaf for path, leaf in leaves if "batch_stats" in (name := jax.tree_util.keystr(path))}


COMBINATIONS = [" ".join(names) for names in itertools.product(HEADS, CRITICS, NETWORKS)]
SHORT = [" ".join((*pair, "mlp" if i % 2 else "residual")) for i, pair in enumerate(itertools.product(HEADS, CRITICS))]
"""Each head with each critic, and each of both with each network."""


@pytest.mark.parametrize("combination", long_but(SHORT, COMBINATIONS))
def test_every_combination_learns(combination: str) -> None:
    head, critic, network = combination.split()
    policy = HEADS[head](SPEC, NETWORKS[network])
    budget = trajectory_budget(SPEC, 1.0, 0.9, 0.0)
    entropy = separated_entropy(SPEC, NETWORKS[network], budget, 0.9) if policy.has_density else no_entropy()
    sgd = optax.sgd(1e-3)
    agent = compose(
        policy,
        CRITICS[critic](SPEC, NETWORKS[network]),
        entropy,
        no_exploration(),
        Schedule(tau=0.1, delay=1, target_policy=True, discount=0.9, n_step=1, reward_scale=1.0),
        Learned(sgd, sgd, sgd, sgd),
    )
    state = jax.jit(agent.init)(jax.random.key(0))
    new, metrics = jax.jit(agent.update)(state, make_batch(), jax.random.key(1))
    assert float(metrics["skipped"]) == 0
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((new, metrics)))
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), state.params, new.params)
    for slot in ("policy", "critic") + (("entropy_critic",) if policy.has_density else ()):
        assert any(jax.tree.leaves(getattr(moved, slot)))
        # A mean and a variance for each of three layers.
        found = statistics(getattr(moved, slot))
        assert len(found) == (6 if network == "residual" else 0)
        assert all(found.values())
    action = agent.act(new, jnp.zeros((5, 3)), jax.random.key(2), "sample")
    assert np.isfinite(action).all()


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"critic": "categorical", "num_atoms": 5, "policy": "era_gaussian", "n_step": 3},
        {"critic": "scalar", "entropy": "in_value", "target_policy": False},
    ],
)
def test_dsac_e_runs_on_flash_sacs_network(choices: dict[str, Any]) -> None:
    entry = AGENTS["dsac_e"]
    agent = entry.make(entry.Config(network="residual", blocks=1, width=4, delay=1, **choices), SPEC)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    assert statistics(state.params.policy)
    assert statistics(state.params.critic)
    assert bool(statistics(state.params.entropy_critic)) == (choices.get("entropy") != "in_value")
    assert state.params.critic["params"]["Dense_0"]["kernel"].shape == (2, 6, 4)

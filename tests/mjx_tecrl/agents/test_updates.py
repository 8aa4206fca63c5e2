"""The named agents with a replay, small: what an update moves, refuses and skips, and agents as parts of a program."""

import dataclasses
import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import AGENTS, Agent, Batch, Spec
from mjx_tecrl.agent import learn
from mjx_tecrl.agents.families import BaselineConfig, OnPolicyConfig
from mjx_tecrl.critics import scalar_critic
from mjx_tecrl.entropy import EntropyRule, entropy_in_value, fixed_temperature, separated_entropy, step_target
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.networks import mlp
from mjx_tecrl.off_policy import NOT_LEARNED, Learned, compose
from mjx_tecrl.policies import tanh_gaussian
from tests.jaxprs import branches
from tests.mjx_tecrl.reference import last_layer
from tests.runs import long_but

KEY = jax.random.key(0)
SPEC = Spec(obs_size=3, action_size=2)
MLPS = {"hidden": (8,)}
PARALLEL = {"policy_hidden": (8,), "critic_hidden": (8,), "num_atoms": 11}
RESIDUAL = {"policy_blocks": 1, "policy_width": 8, "critic_blocks": 1, "critic_width": 8, "num_atoms": 11}
CATEGORICAL = {"fast_td3": PARALLEL, "fast_sac": PARALLEL, "fast_sac_era": PARALLEL, "flash_sac": RESIDUAL}
DETERMINISTIC = ("td3", "ddpg", "fast_td3")
OFF_POLICY = [name for name, kind in AGENTS.items() if not issubclass(kind.Config, OnPolicyConfig)]
names = pytest.mark.parametrize("name", OFF_POLICY)


@functools.cache
def small(name: str) -> tuple[Agent, Any, Any]:
    """An agent, its jitted `init` and its jitted `update`."""
    agent = AGENTS[name].make(AGENTS[name].Config(**CATEGORICAL.get(name, MLPS), delay=2), SPEC)
    return agent, jax.jit(agent.init), jax.jit(agent.update)


def make_batch(seed: int = 0, **changes: Any) -> Batch:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    batch = Batch(
        obs=draw(16, 3),
        action=np.tanh(draw(16, 2)),
        reward=draw(16),
        discount=np.full(16, 0.99, np.float32),
        next_obs=draw(16, 3),
        weight=np.ones(16, np.float32),
    )
    return dataclasses.replace(batch, **changes)


def poisoned(field: str, poison: float) -> Batch:
    batch = make_batch()
    values = getattr(batch, field).copy()
    values[(3,) + (0,) * (values.ndim - 1)] = poison
    return dataclasses.replace(batch, **{field: values})


def assert_same(a: Any, b: Any) -> None:
    """Bit-identical, NaN included."""
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("name", long_but(("dsac_e", "td3", "fast_sac_era", "flash_sac"), OFF_POLICY))
def test_policy_temperature_and_targets_rest_on_the_first_of_two_updates(name: str) -> None:
    _, init, update = small(name)
    first = init(jax.random.key(0))
    second, _ = update(first, make_batch(0), jax.random.key(1))
    assert_same(first.targets, second.targets)
    assert_same(first.params.policy, second.params.policy)
    assert_same(first.params.temperature, second.params.temperature)
    assert_same(first.optimizers.policy, second.optimizers.policy)
    third, _ = update(second, make_batch(1), jax.random.key(2))
    moved = [(first.targets, third.targets), (first.params.policy, third.params.policy)]
    moved += [(first.params.critic, second.params.critic), (second.params.critic, third.params.critic)]
    for before, after in moved:
        assert any(np.any(a != b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))
    tau = AGENTS[name].Config().tau
    jax.tree.map(
        lambda old, new, target: np.testing.assert_allclose(target, (1 - tau) * old + tau * new, rtol=1e-4, atol=1e-6),
        second.targets.critic,
        third.params.critic,
        third.targets.critic,
    )


@names
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30])
def test_a_poisoned_batch_changes_nothing(name: str, poison: float) -> None:
    _, init, update = small(name)
    start, _ = update(init(jax.random.key(0)), make_batch(0), jax.random.key(1))
    for field in ("reward", "obs", "next_obs", "action"):
        state, metrics = update(start, poisoned(field, poison), jax.random.key(2))
        assert int(state.updates) == int(start.updates) + 1
        if float(metrics["skipped"]) == 1:
            assert_same(dataclasses.replace(state, updates=start.updates), start)
            assert all(np.isnan(x).all() for key, x in metrics.items() if key != "skipped")
        else:
            # A categorical critic clips a finite outlier to its last atom.
            assert name in CATEGORICAL
            assert poison == 1e30
            changes = jax.tree.map(lambda a, b: np.abs(a - b).max(), state.params, start.params)
            assert max(jax.tree.leaves(changes)) < 0.05
        state, metrics = update(state, make_batch(3), jax.random.key(3))
        assert float(metrics["skipped"]) == 0
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(state))


@names
def test_a_poisoned_first_batch_leaves_the_running_averages_unset(name: str) -> None:
    _, init, update = small(name)
    start = init(jax.random.key(0))
    state, metrics = update(start, poisoned("reward", np.nan), jax.random.key(1))
    assert float(metrics["skipped"]) == 1
    assert_same(state.critic_aux, start.critic_aux)


@names
def test_an_update_keeps_all_types(name: str) -> None:
    # If an update made a weak type strong, every loop over updates would be compiled twice.
    agent, init, _ = small(name)
    before = jax.eval_shape(init, jax.random.key(0))
    after, _ = jax.eval_shape(agent.update, before, make_batch(), jax.random.key(0))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, b.weak_type)


@pytest.mark.parametrize("delay_and_steps", long_but([(2, 4), (2, 3)], [(1, 3), (2, 4), (3, 6), (2, 3)]), ids=str)
def test_many_steps_in_a_row_are_the_steps_one_by_one(delay_and_steps: tuple[int, int]) -> None:
    """Whether it is known when the program is made which of them move the policy, or not."""
    delay, steps = delay_and_steps
    kind = AGENTS["dsac_e"]
    agent = kind.make(kind.Config(hidden=(8, 8), delay=delay), SPEC)
    batches = jax.tree.map(lambda *x: np.stack(x), *[make_batch(i) for i in range(steps)])
    keys = jax.random.split(jax.random.key(9), steps)
    start = jax.jit(agent.init)(jax.random.key(0))
    state, rows = start, []
    for number in range(steps):
        state, metrics = jax.jit(agent.update)(state, *jax.tree.map(lambda x, number=number: x[number], (batches, keys)))
        rows.append(metrics)
    together, metrics = jax.jit(functools.partial(learn, agent))(start, batches, keys)
    expected = jax.tree.map(lambda *x: np.stack(x), *rows)
    assert metrics.keys() == expected.keys()
    assert np.isnan(expected["policy_loss"]).sum() == steps - steps // delay
    for found, wanted in ((metrics, expected), (together, state)):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6), found, wanted)


@pytest.mark.parametrize("delay", [1, 2])
def test_no_branch_is_left_where_the_steps_are_known(delay: int) -> None:
    kind = AGENTS["sac"]
    agent = kind.make(kind.Config(hidden=(8, 8), delay=delay), SPEC)

    def made(steps: int) -> int:
        batches = jax.tree.map(lambda x: np.stack([x] * steps), make_batch())
        keys = jax.random.split(jax.random.key(0), steps)
        return len(branches(jax.make_jaxpr(functools.partial(learn, agent))(agent.init(jax.random.key(0)), batches, keys)))

    assert made(4) == 0
    assert made(3) == delay - 1


@pytest.mark.parametrize("name", long_but(("dsac_e", "td3", "fast_sac_era"), OFF_POLICY))
def test_updates_run_under_vmap_and_scan_in_place_as_one_program(name: str) -> None:
    agent, init, update = small(name)
    batches = jax.tree.map(lambda *x: np.stack(x), *[make_batch(i) for i in range(4)])
    keys, seeds = jax.random.split(jax.random.key(9), 4), jax.random.split(jax.random.key(5), 2)
    traces = 0

    def run_one(state: Any) -> Any:
        nonlocal traces
        traces += 1
        return jax.lax.scan(lambda state, x: agent.update(state, *x), state, (batches, keys))

    run = jax.jit(jax.vmap(run_one), donate_argnums=0)
    start = jax.jit(jax.vmap(agent.init))(seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a buffer that cannot be donated warns
        first, metrics = run(start)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(start))
    assert float(metrics["skipped"].sum()) == 0
    assert metrics["skipped"].shape == (2, 4)
    params = jax.device_get(first.params)
    for i in range(2):
        state = init(seeds[i])
        for j in range(4):
            state, _ = update(state, make_batch(j), keys[j])
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=2e-5), params, state.params)
    assert any(np.any(leaf[0] != leaf[1]) for leaf in jax.tree.leaves(params.policy))
    second, _ = run(first)
    assert traces == 1
    assert second.updates.tolist() == [8, 8]


def test_flash_sac_keeps_its_weights_on_spheres_and_its_statistics_out_of_the_optimiser() -> None:
    _, init, update = small("flash_sac")
    start = state = init(jax.random.key(0))
    for i in range(4):
        state, _ = update(state, make_batch(i), jax.random.key(i))
    for name in ("policy", "critic"):
        params = getattr(state.params, name)
        for layer, weights in params["params"].items():
            if layer.startswith("Dense"):
                np.testing.assert_allclose(np.linalg.norm(weights["kernel"], axis=-2), 1, rtol=1e-5)
        moments = jax.tree.leaves(getattr(state.optimizers, name)[0].mu["batch_stats"])
        assert not any(np.any(x) for x in moments)
        # The policy's statistics took two steps and the critics' four, towards a batch mean of another sign.
        before = getattr(start.params, name)["batch_stats"]["BatchNorm_0"]["mean"]
        assert np.all(params["batch_stats"]["BatchNorm_0"]["mean"] != before)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"reward": np.zeros((16, 1), np.float32)}, ValueError, r"batch.reward must have the shape \[16\], not \[16, 1\]"),
        ({"weight": np.ones(1, np.float32)}, ValueError, r"batch.weight must have the shape \[16\], not \[1\]"),
        ({"discount": np.ones(16)}, TypeError, "batch.discount must hold float32, not float64"),
        ({"weight": np.ones(16, bool)}, TypeError, "batch.weight must hold float32, not bool"),
        ({"next_obs": np.zeros((16, 4), np.float32)}, ValueError, r"batch.next_obs must have the shape \[16, 3\]"),
        ({"action": np.zeros((16, 1), np.float32)}, ValueError, r"action must have the shape \[16, 2\], not \[16, 1\]"),
        (
            {"obs": np.zeros((16, 4), np.float32), "next_obs": np.zeros((16, 4), np.float32)},
            ValueError,
            r"obs must have the shape \[..., 3\], not \[16, 4\]",
        ),
        (
            {"one_step": (np.ones(15, np.float32), np.ones((16, 3), np.float32))},
            ValueError,
            r"batch.one_step\[0\] must have the shape \[16\], not \[15\]",
        ),
    ],
)
def test_a_batch_that_would_be_broadcast_or_cast_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    agent, init, _ = small("dsac_e")
    with pytest.raises(error, match=message):
        jax.eval_shape(lambda s: agent.update(s, make_batch(**changes), KEY), jax.eval_shape(init, KEY))


def test_what_has_no_step_size_does_not_move() -> None:
    """Whatever its gradient. And an entropy rule that has to learn something is refused without an optimiser."""
    moved, _ = NOT_LEARNED.update(jnp.float32(3.0), NOT_LEARNED.init(jnp.float32(0.0)))
    assert float(moved) == 0
    config = BaselineConfig(hidden=(8,), delay=1)
    policy, critic = tanh_gaussian(SPEC, mlp((8,))), scalar_critic(SPEC, mlp((8,)))

    def composed(rule: EntropyRule, optimizers: Learned) -> Agent:
        return compose(policy, critic, rule, no_exploration(), config.schedule(target_policy=False), optimizers)

    step, fixed = step_target(SPEC, 1.0, 1.0), fixed_temperature(1.0)
    with pytest.raises(ValueError, match=r"learns its temperature, so optimizers\.temperature cannot be NOT_LEARNED"):
        composed(entropy_in_value(step), config.optimizers())
    separated = separated_entropy(SPEC, mlp((8,)), step, discount=0.99)
    with pytest.raises(ValueError, match=r"learns its entropy_critic, so optimizers\.entropy_critic cannot be NOT_LEARNED"):
        composed(separated, config.optimizers(alpha_lr=1e-3))
    agent = composed(entropy_in_value(fixed), config.optimizers())
    state = agent.init(KEY)
    new, metrics = jax.jit(agent.update)(state, make_batch(), KEY)
    assert float(metrics["skipped"]) == 0
    assert float(new.params.temperature) == float(state.params.temperature) == 1.0


@names
def test_exploration_declares_its_axes(name: str) -> None:
    agent, _, _ = small(name)
    shapes = jax.tree.leaves(jax.eval_shape(lambda key: agent.init_exploration(key, 7), KEY))
    per_world = [leaf.shape[:1] == (7,) for leaf in shapes]
    assert per_world == [agent.exploration_axes == ("world",)] * len(shapes)


def cold_and_hot(name: str) -> list[Any]:
    """An agent after its first update, at its own temperature and at a higher one."""
    _, init, update = small(name)
    state = init(jax.random.key(0))
    hot = dataclasses.replace(state, params=dataclasses.replace(state.params, temperature=jnp.float32(5.0)))
    return [update(s, make_batch(0), jax.random.key(1)) for s in (state, hot)]


def test_the_critic_of_rewards_feels_the_temperature_of_dsac_t() -> None:
    """TECRL's first claim: entropy inside the action value makes its target move with the temperature."""
    (one, metrics), (other, hot_metrics) = cold_and_hot("dsac_t")
    assert abs(float(metrics["td_error"]) - float(hot_metrics["td_error"])) > 1
    pairs = zip(jax.tree.leaves(one.params.critic), jax.tree.leaves(other.params.critic), strict=True)
    assert any(np.any(a != b) for a, b in pairs)


def test_the_critic_of_rewards_does_not_feel_the_temperature_of_dsac_e() -> None:
    _, _, update = small("dsac_e")
    (one, metrics), (other, hot_metrics) = cold_and_hot("dsac_e")
    assert_same(one.params.critic, other.params.critic)
    assert_same(one.params.entropy_critic, other.params.entropy_critic)
    for key in ("critic_loss", "td_error", "entropy_critic_error"):
        assert float(metrics[key]) == float(hot_metrics[key])
    # On the second update the policy feels the temperature, and the critic still does not.
    one, other = (update(s, make_batch(1), jax.random.key(2))[0] for s in (one, other))
    assert_same(one.params.critic, other.params.critic)
    pairs = zip(jax.tree.leaves(one.params.policy), jax.tree.leaves(other.params.policy), strict=True)
    assert any(np.any(a != b) for a, b in pairs)


@pytest.mark.parametrize(("entropy_to_go", "direction"), [(0.0, -1), (-1e4, 1)])
def test_the_temperature_of_dsac_e_moves_towards_its_budget(entropy_to_go: float, direction: int) -> None:
    # The budget is 1 * -2 / (1 - 0.99) = -200. A fresh policy has about 0 nats; the entropy critic is made to differ.
    _, init, update = small("dsac_e")
    state = init(jax.random.key(0))
    entropy_critic = jax.tree.map(lambda x: x, state.params.entropy_critic)
    last_layer(entropy_critic)["bias"] += entropy_to_go
    params = dataclasses.replace(state.params, entropy_critic=entropy_critic)
    # With one update counted, the next one moves the temperature.
    state = dataclasses.replace(state, params=params, updates=jnp.ones((), jnp.int32))
    new, metrics = update(state, make_batch(0), jax.random.key(1))
    assert float(metrics["budget_gap"]) * direction < 0
    assert (float(new.params.temperature) - float(state.params.temperature)) * direction > 1e-4


@names
def test_actions(name: str) -> None:
    agent, init, _ = small(name)
    state, obs = init(jax.random.key(0)), make_batch().obs
    act = jax.jit(agent.act, static_argnums=3)
    mode = act(state, obs, None, "deterministic")
    one, same, other = (act(state, obs, jax.random.key(seed), "sample") for seed in (1, 1, 2))
    assert mode.shape == one.shape == (16, 2)
    assert_same(one, same)
    assert np.any(one != other) == (name not in DETERMINISTIC)
    assert_same(mode, act(state, obs, jax.random.key(1), "deterministic"))
    assert max(np.abs(mode).max(), np.abs(one).max()) <= 1

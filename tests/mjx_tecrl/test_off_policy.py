"""The composition: order, delay, averages and skipped updates; and agents as parts of a program."""

import dataclasses
import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mjx_tecrl import AGENTS, Agent, Batch, Spec
from mjx_tecrl.agents.families import BaselineConfig, OnPolicyConfig
from mjx_tecrl.critics import Critic, scalar_critic
from mjx_tecrl.entropy import EntropyRule, entropy_in_value, step_target
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.networks import mlp
from mjx_tecrl.off_policy import NOT_LEARNED, Learned, OffPolicyState, Schedule, compose
from mjx_tecrl.policies import ActionSample, Policy, tanh_gaussian
from tests.mjx_tecrl.reference import last_layer
from tests.runs import long_but

# --- Scalar pieces, each of one parameter and without noise, so that an update can be computed by hand. ---

LEARNING_RATE, TAU, GAMMA, REWARD_SCALE, TARGET = 0.1, 0.25, 0.5, 0.2, -1.0


def linear_policy() -> Policy:
    """Action p obs, log-probability p."""

    def sample(p: jax.Array, obs: jax.Array, key: jax.Array) -> ActionSample:
        action = p * obs
        return ActionSample(action, p * jnp.ones(len(obs)), jnp.ones_like(action))

    return Policy(
        init=lambda key: jnp.float32(0.3),
        sample=sample,
        mode=lambda p, obs: p * obs,
        sample_in_training=lambda p, batch, key: (sample(p, batch.obs, key), ()),
    )


def linear_critic() -> Critic:
    """Value c obs action; it counts its losses."""

    def value(c: jax.Array, obs: jax.Array, action: jax.Array) -> jax.Array:
        return c * obs[:, 0] * action[:, 0]

    def loss(c: Any, target: Any, aux: Any, batch: Batch, next_action: Any, next_bonus: Any, key: Any) -> Any:
        y = batch.reward + batch.discount * (value(target, batch.next_obs, next_action) + next_bonus)
        return batch.mean((value(c, batch.obs, batch.action) - y) ** 2), (aux + 1, (), {})

    return Critic(lambda key: jnp.float32(0.7), lambda: jnp.zeros(()), loss, value)


def linear_entropy() -> EntropyRule:
    """Entropy critic e action; entropy also inside the value."""

    def critic_loss(e: Any, target: Any, batch: Batch, sample: ActionSample) -> Any:
        y = batch.discount * (-sample.log_prob + target * sample.action[:, 0])
        return batch.mean((e * batch.action[:, 0] - y) ** 2), ((), {})

    def temperature_loss(log_alpha: Any, e: Any, batch: Batch, sample: ActionSample, value: Any) -> Any:
        return log_alpha * (batch.mean(-sample.log_prob + e * sample.action[:, 0]) - TARGET), {}

    return EntropyRule(
        init_critic=lambda key: jnp.float32(-0.4),
        init_temperature=lambda: jnp.float32(0.2),
        next_bonus=lambda log_alpha, sample: -jnp.exp(log_alpha) * sample.log_prob,
        critic_loss=critic_loss,
        policy_cost=lambda e, log_alpha, obs, sample: jnp.exp(log_alpha) * (sample.log_prob - e * sample.action[:, 0]),
        temperature_loss=temperature_loss,
    )


def schedule(**changes: Any) -> Schedule:
    constants = {
        "tau": TAU,
        "delay": 2,
        "target_policy": True,
        "discount": GAMMA,
        "n_step": 1,
        "reward_scale": REWARD_SCALE,
    }
    return Schedule(**(constants | changes))


def linear_agent(**changes: Any) -> Agent:
    sgd = optax.sgd(LEARNING_RATE)
    return compose(
        linear_policy(),
        linear_critic(),
        linear_entropy(),
        no_exploration(),
        schedule(**changes),
        Learned(sgd, sgd, sgd, sgd),
    )


def linear_batch(seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    discount = np.float32([GAMMA, 0, GAMMA, GAMMA])
    return Batch(draw(4, 1), draw(4, 1), draw(4), discount, draw(4, 1), np.float32([1, 1, 0, 1]))


def by_hand(x: dict[str, float], batch: Batch, moves: bool, target_policy: bool) -> dict[str, float]:
    """One update in plain numpy, every derivative written out."""
    s, a, s2 = (np.float64(v[:, 0]) for v in (batch.obs, batch.action, batch.next_obs))
    mean = lambda v: (v * batch.weight).sum() / batch.weight.sum()  # noqa: E731
    alpha, new = np.exp(x["temperature"]), dict(x)
    p_next = x["policy_target"] if target_policy else x["policy"]
    y = REWARD_SCALE * batch.reward + batch.discount * (x["critic_target"] * s2 * p_next * s2 - alpha * p_next)
    y_e = batch.discount * (-p_next + x["entropy_critic_target"] * p_next * s2)
    new["critic"] -= LEARNING_RATE * mean(2 * (x["critic"] * s * a - y) * s * a)
    new["entropy_critic"] -= LEARNING_RATE * mean(2 * (x["entropy_critic"] * a - y_e) * a)
    if moves:
        # Cost alpha (p - e p s) - c s p s, and log_alpha (mean(-p + e p s) - TARGET): old values everywhere.
        new["policy"] -= LEARNING_RATE * mean(alpha * (1 - x["entropy_critic"] * s) - x["critic"] * s * s)
        trajectory = mean(-x["policy"] + x["entropy_critic"] * x["policy"] * s)
        new["temperature"] -= LEARNING_RATE * (trajectory - TARGET)
        for name in ("policy", "critic", "entropy_critic"):
            if f"{name}_target" in x:
                new[f"{name}_target"] = (1 - TAU) * x[f"{name}_target"] + TAU * new[name]
    return new


def read(state: Any, target_policy: bool) -> dict[str, float]:
    values = {name: float(getattr(state.params, name)) for name in ("policy", "critic", "entropy_critic", "temperature")}
    names = ("policy", "critic", "entropy_critic") if target_policy else ("critic", "entropy_critic")
    return values | {f"{name}_target": float(getattr(state.targets, name)) for name in names}


@pytest.mark.parametrize(("delay", "target_policy"), [(1, True), (2, True), (3, False)])
def test_updates_equal_those_by_hand(delay: int, target_policy: bool) -> None:
    agent = linear_agent(delay=delay, target_policy=target_policy)
    update, state = jax.jit(agent.update), agent.init(jax.random.key(0))
    values = read(state, target_policy)
    for i in range(6):
        moves = i % delay == delay - 1
        state, metrics = update(state, linear_batch(i), jax.random.key(i))
        new = by_hand(values, linear_batch(i), moves, target_policy)
        result = read(state, target_policy)
        assert result == pytest.approx(new, rel=1e-4, abs=1e-6)
        slow = [name for name in new if name not in ("critic", "entropy_critic")]
        assert all((new[name] != values[name]) == moves for name in slow)
        assert np.isnan(metrics["policy_loss"]) == (not moves)
        assert float(state.critic_aux) == int(state.updates) == i + 1
        assert float(metrics["skipped"]) == 0
        values = result


def test_no_buffer_stands_twice_in_the_state() -> None:
    # A state with one buffer twice cannot be donated. This runs outside `jit`, in which every output has its own buffer.
    leaves = jax.tree.leaves(linear_agent().init(jax.random.key(0)))
    assert len({leaf.unsafe_buffer_pointer() for leaf in leaves}) == len(leaves)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"tau": 0.0}, r"tau must be in \(0, 1\], not 0.0"),
        ({"tau": 1.5}, "tau must be in"),
        ({"discount": 1.0}, r"discount must be in \[0, 1\), not 1.0"),
        ({"discount": -0.1}, "discount must be in"),
        ({"delay": 0}, "delay must be at least 1, not 0"),
        ({"n_step": 0}, "n_step must be at least 1, not 0"),
        ({"discount": float("nan")}, "discount must be in"),
    ],
)
def test_bad_constants_are_refused(constants: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule(**constants)


def test_a_temperature_over_a_deterministic_policy_is_refused() -> None:
    sgd = optax.sgd(LEARNING_RATE)
    pieces = (linear_critic(), linear_entropy(), no_exploration(), schedule(), Learned(sgd, sgd, sgd, sgd))
    with pytest.raises(ValueError, match="a deterministic policy has no entropy"):
        compose(linear_policy()._replace(has_density=False), *pieces)


def test_smoothing_is_clipped_noise_on_the_next_action_of_the_critics_target_alone() -> None:
    batch = dataclasses.replace(linear_batch(0), discount=np.full(4, GAMMA, np.float32))
    keys = jax.random.split(jax.random.key(0), 200)

    def first_updates(smoothing: Any) -> Any:
        agent = linear_agent(delay=1, smoothing=smoothing)
        state = agent.init(jax.random.key(0))
        return jax.jit(jax.vmap(lambda key: agent.update(state, batch, key)[0].params))(keys)

    plain, without, noisy = first_updates(None), first_updates((0.0, 0.5)), first_updates((100.0, 0.05))
    np.testing.assert_allclose(without.critic, plain.critic, rtol=1e-5)
    np.testing.assert_allclose(noisy.policy, plain.policy, rtol=1e-5)
    np.testing.assert_allclose(noisy.entropy_critic, plain.entropy_critic, rtol=1e-5)
    # Noise of 100 is always clipped to 0.05, so the target moves by 0.7 s' times that. No action here comes near 1.
    s, a, s2, w = (np.float64(x) for x in (batch.obs[:, 0], batch.action[:, 0], batch.next_obs[:, 0], batch.weight))
    assert np.abs(0.3 * s2).max() < 0.95
    shares = LEARNING_RATE * 2 * w / w.sum() * s * a * GAMMA * 0.7 * s2 * 0.05
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    possible = np.unique(signs @ shares)
    moved = np.float64(noisy.critic) - float(plain.critic[0])
    assert np.abs(moved[:, None] - possible).min(1).max() < 1e-6
    assert moved.std() > 0


def test_the_entropy_critic_learns_from_one_step_where_the_others_walk_several() -> None:
    batch, other = linear_batch(0), linear_batch(1)
    agent = linear_agent(delay=1, n_step=3)
    state = agent.init(jax.random.key(0))
    update = jax.jit(agent.update)
    walked = dataclasses.replace(batch, one_step=(other.discount, other.next_obs))
    new = update(state, walked, jax.random.key(0))[0].params
    near = dataclasses.replace(batch, discount=other.discount, next_obs=other.next_obs)
    assert float(new.entropy_critic) == pytest.approx(
        float(update(state, near, jax.random.key(0))[0].params.entropy_critic), rel=1e-5
    )
    far = update(state, batch, jax.random.key(0))[0].params
    assert float(new.critic) == pytest.approx(float(far.critic), rel=1e-5)
    assert float(new.entropy_critic) != pytest.approx(float(far.entropy_critic), rel=1e-3)


def test_no_key_is_used_twice_in_an_update() -> None:
    # Records the key of every draw of one update, outside `jit`: the policy's three samples, the smoothing noise and the
    # critic's target.
    keys: list[jax.Array] = []
    policy, critic, real_normal = linear_policy(), linear_critic(), jax.random.normal

    def recorded(function: Any, position: int) -> Any:
        def call(*args: Any) -> Any:
            keys.append(args[position])
            return function(*args)

        return call

    sgd = optax.sgd(LEARNING_RATE)
    agent = compose(
        policy._replace(sample=recorded(policy.sample, -1), sample_in_training=recorded(policy.sample_in_training, -1)),
        critic._replace(loss=recorded(critic.loss, -1)),
        linear_entropy(),
        no_exploration(),
        schedule(delay=1, n_step=2, smoothing=(0.1, 0.5)),
        Learned(sgd, sgd, sgd, sgd),
    )
    other = linear_batch(1)
    batch = dataclasses.replace(linear_batch(0), one_step=(other.discount, other.next_obs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.random, "normal", recorded(real_normal, 0))
        agent.update(agent.init(jax.random.key(0)), batch, jax.random.key(1))

    used = {tuple(jax.random.key_data(key).tolist()) for key in keys}
    assert len(used) == len(keys) == 5
    # Nor is one of them made from another.
    children = [jax.random.fold_in(key, i) for key in keys for i in range(4)]
    children += [child for key in keys for n in (2, 3, 4) for child in jax.random.split(key, n)]
    assert not used & {tuple(jax.random.key_data(child).tolist()) for child in children}


# --- The named agents, small. ---

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
    # A temperature without an optimiser, whose raw gradient would carry it away.
    config = BaselineConfig(hidden=(8,), delay=1)
    temperature = entropy_in_value(step_target(SPEC, 1.0, 1.0))
    policy, critic = tanh_gaussian(SPEC, mlp((8,))), scalar_critic(SPEC, mlp((8,)))
    agent = compose(policy, critic, temperature, no_exploration(), config.schedule(target_policy=False), config.optimizers())
    state = agent.init(KEY)
    new, metrics = jax.jit(agent.update)(state, make_batch(), KEY)
    assert float(metrics["skipped"]) == 0
    assert abs(float(metrics["budget_gap"])) > 0.1
    assert float(new.params.temperature) == float(state.params.temperature) == 1.0
    # A user's own agent names the optimiser itself.
    moved, _ = NOT_LEARNED.update(jnp.float32(3.0), NOT_LEARNED.init(jnp.float32(0.0)))
    assert float(moved) == 0


def test_fields_declare_their_axes() -> None:
    metadata = {field.name: dict(field.metadata) for field in dataclasses.fields(OffPolicyState)}
    assert metadata.pop("updates") == {"axes": (), "seeds": "shared"}
    assert all(declared == {"axes": ()} for declared in metadata.values())


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

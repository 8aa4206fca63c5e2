"""The composition: what an update does with a rollout, and what it ignores."""

import dataclasses
import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mjx_tecrl import AGENTS, OnPolicyAgent, Rollout, Spec
from mjx_tecrl.advantages import gae
from mjx_tecrl.networks import mlp, residual
from mjx_tecrl.objectives import Objective, clipped
from mjx_tecrl.objectives.base import no_step
from mjx_tecrl.on_policy import OnPolicyState, RolloutSchedule, compose, entropy_stream, reward_stream
from mjx_tecrl.policies import gaussian, tanh_gaussian
from mjx_tecrl.types import Transitions
from mjx_tecrl.values import value_head

SPEC = Spec(obs_size=3, action_size=2, privileged_size=1)
TANH = mlp((8,), "tanh")
SMALL: dict[str, Any] = {"hidden": (8,), "rollout_steps": 6, "epochs": 2, "minibatches": 3}
NAMES = ("eapo", "ppo", "ppo_era", "trpo")
names = pytest.mark.parametrize("name", NAMES)
STEPS, WORLDS = 6, 4


@functools.cache
def small(name: str) -> tuple[OnPolicyAgent, Any, Any]:
    """An agent, its jitted `init` and its jitted `update`."""
    agent = AGENTS[name].make(AGENTS[name].Config(**SMALL), SPEC)
    assert isinstance(agent, OnPolicyAgent)
    return agent, jax.jit(agent.init), jax.jit(agent.update)


def make_rollout(seed: int = 0, **changes: Any) -> Rollout:
    """World 0 is cut off after two steps, world 1 terminates after two, world 2 blows up on its third."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    terminated, done, valid = np.zeros((3, STEPS, WORLDS), bool)
    valid[:] = True
    done[1, :2] = terminated[1, 1] = True
    valid[2, :3] = False
    rollout = Rollout(
        obs=draw(STEPS, WORLDS, 4),
        action=np.clip(draw(STEPS, WORLDS, 2), -0.9, 0.9),
        reward=draw(STEPS, WORLDS),
        terminated=terminated,
        done=done,
        valid=valid,
        last_obs=draw(WORLDS, 4),
    )
    return dataclasses.replace(rollout, **changes)


def assert_same(a: Any, b: Any) -> None:
    """Bit-identical, NaN included."""
    jax.tree.map(np.testing.assert_array_equal, a, b)


def differs(a: Any, b: Any) -> bool:
    return any(np.any(x != y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@names
def test_an_update_moves_everything_and_keeps_all_types(name: str) -> None:
    agent, init, update = small(name)
    before = init(jax.random.key(0))
    after, metrics = update(before, make_rollout(), jax.random.key(1))
    assert float(metrics["skipped"]) == 0
    assert int(after.updates) == agent.updates_per_rollout == 6
    assert differs(before.policy, after.policy)
    assert all(differs(a, b) for a, b in zip(before.values, after.values, strict=True))
    assert {"policy_loss", "value_loss", "entropy", "kl", "value_explained_variance", "std"} <= set(metrics)
    assert metrics["std"].shape == (2,)
    # If an update made a weak type strong, every loop over updates would be compiled twice.
    shapes = jax.eval_shape(init, jax.random.key(0))
    new_shapes, _ = jax.eval_shape(agent.update, shapes, make_rollout(), jax.random.key(0))
    assert jax.tree.structure(shapes) == jax.tree.structure(new_shapes)
    for a, b in zip(jax.tree.leaves(shapes), jax.tree.leaves(new_shapes), strict=True):
        assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, b.weak_type)


@names
def test_rows_that_are_no_transitions_leave_no_trace(name: str) -> None:
    """With NaN in their actions and rewards, the update is the same, bit for bit."""
    _, init, update = small(name)
    start, clean = init(jax.random.key(0)), make_rollout()
    dirty = dataclasses.replace(
        clean,
        action=np.where(clean.valid[..., None], clean.action, np.nan),
        reward=np.where(clean.valid, clean.reward, np.nan),
    )
    (one, metrics), (two, dirty_metrics) = (update(start, r, jax.random.key(1)) for r in (clean, dirty))
    assert_same((one, metrics), (two, dirty_metrics))
    assert float(metrics["skipped"]) == 0


@names
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_poisoned_rollout_changes_nothing(name: str, poison: float) -> None:
    _, init, update = small(name)
    start, _ = update(init(jax.random.key(0)), make_rollout(0), jax.random.key(1))
    for field in ("reward", "obs", "action", "last_obs"):
        values = getattr(make_rollout(), field).copy()
        values[(0,) * values.ndim] = poison
        state, metrics = update(start, make_rollout(**{field: values}), jax.random.key(2))
        assert float(metrics["skipped"]) == 1
        assert_same(dataclasses.replace(state, updates=start.updates), start)
        assert int(state.updates) == int(start.updates) + 6
        assert all(np.isnan(x).all() for key, x in metrics.items() if key != "skipped")
        state, metrics = update(state, make_rollout(3), jax.random.key(3))
        assert float(metrics["skipped"]) == 0


@names
def test_a_rollout_without_a_transition_changes_nothing(name: str) -> None:
    _, init, update = small(name)
    start = init(jax.random.key(0))
    state, metrics = update(start, make_rollout(valid=np.zeros((STEPS, WORLDS), bool)), jax.random.key(1))
    assert float(metrics["skipped"]) == 1
    assert_same(dataclasses.replace(state, updates=start.updates), start)


def test_updates_run_under_vmap_in_place() -> None:
    agent, init, update = small("eapo")
    seeds = jax.random.split(jax.random.key(5), 2)
    run = jax.jit(jax.vmap(agent.update, (0, None, None)), donate_argnums=0)
    start = jax.jit(jax.vmap(agent.init))(seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a buffer that cannot be donated warns
        both, _ = run(start, make_rollout(), jax.random.key(1))
    for i in range(2):
        one, _ = update(init(seeds[i]), make_rollout(), jax.random.key(1))
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=2e-5), both.policy, one.policy)


@names
def test_actions(name: str) -> None:
    agent, init, _ = small(name)
    state, obs = init(jax.random.key(0)), make_rollout().obs[0]
    act = jax.jit(agent.act, static_argnums=3)
    mode = act(state, obs, None, "deterministic")
    one, same, other = (act(state, obs, jax.random.key(seed), "sample") for seed in (1, 1, 2))
    assert mode.shape == one.shape == (WORLDS, 2)
    assert np.abs(mode).max() <= 1
    assert_same(one, same)
    assert np.any(one != other)
    with pytest.raises(ValueError, match='mode is "deterministic", or "sample" with a key'):
        agent.act(state, obs, None, "sample")


def spy(seen: list[Transitions]) -> Objective:
    """An objective that learns nothing and records the transitions that it is given."""

    def look(params: Any, state: Any, samples: Transitions) -> Any:
        seen.append(samples)
        return params, state, {}

    return Objective(lambda params: (), look, no_step)


def test_the_advantage_is_the_weighted_sum_of_both_streams() -> None:
    """EAPO: A = A_V + tau_H A_H, each with its own discount, lambda and values, then normalised over the transitions."""
    policy, head, adam = gaussian(SPEC, TANH), value_head(SPEC, TANH, popart=0.5), optax.adam(1e-3)
    seen: list[Transitions] = []
    streams = (reward_stream(head, adam, 0.9, 0.8, reward_scale=3.0), entropy_stream(head, adam, 0.7, 0.6, 0.3))
    agent = compose(policy, spy(seen), streams, RolloutSchedule(STEPS, 1, 1))
    state, rollout = agent.init(jax.random.key(0)), make_rollout()
    new, metrics = agent.update(state, rollout, jax.random.key(1))

    assert policy.evaluate is not None
    log_prob = policy.evaluate(state.policy, rollout.obs, rollout.action).log_prob
    parts, returns = [], []
    for signal, (discount, lam), params in zip(
        (3 * rollout.reward, -log_prob), ((0.9, 0.8), (0.7, 0.6)), state.values, strict=True
    ):
        value = head.value(params, head.init_stats(), rollout.obs)
        last = head.value(params, head.init_stats(), rollout.last_obs)
        parts.append(np.asarray(gae(signal, value, last, rollout, discount, lam)).ravel())
        returns.append(parts[-1] + np.asarray(value).ravel())
    valid = rollout.valid.ravel()
    total = parts[0] + 0.3 * parts[1]
    expected = (total - total[valid].mean()) / total[valid].std()
    [samples] = seen
    np.testing.assert_allclose(samples.advantage[valid], expected[valid], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(samples.log_prob[valid], np.asarray(log_prob).ravel()[valid], rtol=1e-4, atol=1e-5)
    for i in range(2):
        np.testing.assert_allclose(samples.returns[valid, i], returns[i][valid], rtol=1e-3, atol=1e-4)
        # PopArt has seen exactly these returns.
        shift, scale = new.target_stats[i].shift_and_scale()
        assert float(shift) == pytest.approx(returns[i][valid].mean(), rel=1e-3, abs=1e-4)
        assert float(scale) == pytest.approx(returns[i][valid].std(), rel=1e-3)
        name = ("value", "entropy_value")[i]
        explained = 1 - parts[i][valid].var() / returns[i][valid].var()
        assert float(metrics[f"{name}_explained_variance"]) == pytest.approx(explained, rel=1e-2, abs=1e-3)


def test_an_epoch_uses_every_sample_once() -> None:
    """An objective that adds up the returns it is given: two epochs of three parts give it every return twice."""
    policy = gaussian(SPEC, TANH)
    sizes: list[int] = []

    def count(params: Any, state: jax.Array, samples: Transitions) -> Any:
        sizes.append(len(samples.valid))
        return params, state + samples.returns[:, 0].sum(), {}

    objective = Objective(lambda params: jnp.zeros(()), no_step, count)
    head = value_head(SPEC, TANH)
    stream = reward_stream(head, optax.sgd(0.0), 0.9, 0.8)
    agent = compose(policy, objective, (stream,), RolloutSchedule(STEPS, 2, 3))
    state = agent.init(jax.random.key(0))
    rollout = make_rollout()
    new, _ = agent.update(state, rollout, jax.random.key(1))
    value = head.value(state.values[0], head.init_stats(), rollout.obs)
    last = head.value(state.values[0], head.init_stats(), rollout.last_obs)
    total = float((gae(rollout.reward, value, last, rollout, 0.9, 0.8) + value).sum())
    assert float(new.objective) == pytest.approx(2 * total, rel=1e-3, abs=1e-3)
    assert set(sizes) == {STEPS * WORLDS // 3}


def test_only_critics_see_what_is_privileged() -> None:
    agent, init, update = small("ppo")
    state = init(jax.random.key(0))
    other = make_rollout().obs.copy()
    other[..., 3] += 1
    assert_same(
        agent.act(state, other[0], None, "deterministic"), agent.act(state, make_rollout().obs[0], None, "deterministic")
    )
    one, two = (update(state, make_rollout(obs=obs), jax.random.key(1))[1] for obs in (make_rollout().obs, other))
    assert float(one["value_mean"]) != float(two["value_mean"])


def test_a_head_without_closed_forms_is_refused() -> None:
    head = value_head(SPEC, TANH)
    stream = reward_stream(head, optax.adam(1e-3), 0.9, 0.8)
    with pytest.raises(ValueError, match="on-policy agents need a policy head with a log-density"):
        compose(tanh_gaussian(SPEC, TANH), spy([]), (stream,), RolloutSchedule(STEPS, 1, 1))
    assert clipped(gaussian(SPEC, TANH), optax.adam(1e-3)).rollout_step is no_step


def test_a_policy_network_with_batch_statistics_is_refused() -> None:
    policy = gaussian(SPEC, residual(1, 4))
    stream = reward_stream(value_head(SPEC, TANH), optax.adam(1e-3), 0.9, 0.8)
    with pytest.raises(ValueError, match="batch statistics make the two differ from the start"):
        compose(policy, spy([]), (stream,), RolloutSchedule(STEPS, 1, 1))


def test_values_may_have_batch_statistics_which_move() -> None:
    policy, head = gaussian(SPEC, TANH), value_head(SPEC, residual(1, 4))
    stream = reward_stream(head, optax.adam(1e-3), 0.9, 0.8)
    agent = compose(policy, clipped(policy, optax.adam(1e-3)), (stream,), RolloutSchedule(STEPS, 1, 2))
    state = agent.init(jax.random.key(0))
    new, metrics = jax.jit(agent.update)(state, make_rollout(), jax.random.key(1))
    assert float(metrics["skipped"]) == 0
    before, after = (s.values[0]["batch_stats"]["BatchNorm_0"]["mean"] for s in (state, new))
    assert np.all(before != after)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"reward": np.zeros((STEPS, 1), np.float32)},
            ValueError,
            r"reward must have the shape \[6, 4\], not \[6, 1\]",
        ),
        ({"valid": np.ones((STEPS, WORLDS), np.float32)}, TypeError, "rollout.valid must hold bool, not float32"),
        ({"obs": np.zeros((STEPS, WORLDS, 4))}, TypeError, "rollout.obs must hold float32, not float64"),
        ({"last_obs": np.zeros((WORLDS, 3), np.float32)}, ValueError, r"rollout.last_obs must have the shape \[4, 4\]"),
        ({"action": np.zeros((STEPS, WORLDS, 1), np.float32)}, ValueError, r"action must have the shape \[24, 2\]"),
    ],
)
def test_a_rollout_that_would_be_broadcast_or_cast_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    agent, init, _ = small("ppo")
    key = jax.random.key(0)
    with pytest.raises(error, match=message):
        jax.eval_shape(
            lambda s, k: agent.update(s, make_rollout(**changes), k), *jax.eval_shape(lambda k: (init(k), k), key)
        )


def test_fields_declare_their_axes() -> None:
    metadata = {field.name: dict(field.metadata) for field in dataclasses.fields(OnPolicyState)}
    assert metadata.pop("updates") == {"axes": (), "seeds": "shared"}
    assert all(declared == {"axes": ()} for declared in metadata.values())


def test_experience_is_collected_by_the_policys_own_samples() -> None:
    agent, _, _ = small("ppo")
    state = agent.init_exploration(jax.random.key(0), WORLDS)
    assert state == agent.exploration_axes == ()
    draw = lambda key: jax.random.normal(key, (WORLDS, 2))  # noqa: E731
    action, state = agent.explore(state, draw, jnp.zeros(WORLDS, bool), jax.random.key(1))
    np.testing.assert_array_equal(action, draw(jax.random.key(1)))
    assert state == ()

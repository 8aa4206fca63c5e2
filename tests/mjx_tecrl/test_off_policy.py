"""The composition, of pieces with one parameter each: every update is computed by hand as well."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mjx_tecrl import Agent, Batch
from mjx_tecrl.critics import Critic
from mjx_tecrl.entropy import EntropyRule
from mjx_tecrl.exploration import no_exploration
from mjx_tecrl.off_policy import Learned, OffPolicyState, Schedule, compose
from mjx_tecrl.policies import ActionSample, Policy

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


def test_fields_declare_their_axes() -> None:
    metadata = {field.name: dict(field.metadata) for field in dataclasses.fields(OffPolicyState)}
    assert metadata.pop("updates") == {"axes": (), "seeds": "shared"}
    assert all(declared == {"axes": ()} for declared in metadata.values())

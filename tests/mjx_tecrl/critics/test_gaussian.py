"""The DSAC-T critic, against its equations in plain numpy (ALGORITHMS: section 1, steps 2 to 6)."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_tecrl import Batch, Spec
from mjx_tecrl.critics import gaussian_critic
from mjx_tecrl.critics.gaussian import gaussian_critic_loss
from mjx_tecrl.networks import mlp
from tests.mjx_tecrl.reference import ensemble, f64, gelu, last_layer, sigmoid, softplus

SPEC = Spec(obs_size=3, action_size=2)
MEMBERS, BATCH, GAMMA, TAU_B, ZETA, EPS = 2, 6, 0.9, 0.25, 3.0, 0.1
WEIGHT = np.array([1, 1, 0, 1, 1, 1], np.float32)
TERMINATED = np.array([0, 1, 0, 0, 0, 0], np.float32)

CRITIC = gaussian_critic(SPEC, mlp((8,)), members=MEMBERS, tau_b=TAU_B, zeta=ZETA)


@functools.cache
def params(seed: int) -> Any:
    """Parameters large enough that the members disagree."""
    return jax.tree.map(lambda x: 2 * x, jax.jit(CRITIC.init)(jax.random.key(seed)))


def make_batch(reward_scale: float = 1.0) -> Batch:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return Batch(
        obs=draw(BATCH, 3),
        action=np.tanh(draw(BATCH, 2)),
        reward=reward_scale * draw(BATCH),
        discount=GAMMA * (1 - TERMINATED),
        next_obs=draw(BATCH, 3),
        weight=WEIGHT,
    )


NEXT_ACTION = np.tanh(np.random.default_rng(1).normal(size=(BATCH, 2))).astype(np.float32)
NEXT_BONUS = np.random.default_rng(2).normal(size=BATCH).astype(np.float32)


@jax.jit
@functools.partial(jax.value_and_grad, argnums=(0, 1, 4, 5), has_aux=True)
def loss_and_gradients(*args: Any) -> Any:
    return CRITIC.loss(*args)


def wide_draw_key() -> jax.Array:
    """A key whose normal draws, one per critic and transition, include one beyond 3 on a transition that counts."""
    keys = jax.random.split(jax.random.key(0), 4000)
    draws = np.abs(jax.jit(jax.vmap(lambda key: jax.random.normal(key, (MEMBERS, BATCH))))(keys))
    chosen, _ = chosen_member(make_batch())
    draws = np.take_along_axis(draws, chosen[None, None, :], 1)[:, 0] * WEIGHT * (1 - TERMINATED)
    return keys[int(np.argmax(draws.max(1) > 3.3))]


def chosen_member(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    _, out = ensemble(params(1), np.concatenate([batch.next_obs, NEXT_ACTION], -1), gelu)
    return out[..., 0].argmin(0), out


def reference(batch: Batch, key: jax.Array, previous: np.ndarray | None) -> dict[str, Any]:
    """Steps 2 to 6 as they are written, one transition and one critic at a time."""
    z = np.clip(f64(jax.random.normal(key, (MEMBERS, BATCH))), -3, 3)
    _, next_out = chosen_member(batch)
    features, out = ensemble(params(0), np.concatenate([batch.obs, batch.action], -1), gelu)
    count, total, clipped = WEIGHT.sum(), 0.0, []
    kernel, bias = np.zeros((MEMBERS, 8, 2)), np.zeros((MEMBERS, 2))
    averages = np.zeros(MEMBERS)
    for i in range(MEMBERS):
        mu, sigma = out[i, :, 0], softplus(out[i, :, 1])
        batch_mean = (sigma * WEIGHT).sum() / count
        m = batch_mean if previous is None else (1 - TAU_B) * previous[i] + TAU_B * batch_mean
        averages[i] = m
        for j in range(BATCH):
            if WEIGHT[j] == 0:
                continue
            k = int(next_out[:, j, 0].argmin())
            mu_next, sigma_next = next_out[k, j, 0], softplus(next_out[k, j, 1])
            y_q = batch.reward[j] + GAMMA * (1 - TERMINATED[j]) * (mu_next + NEXT_BONUS[j])
            y_z = batch.reward[j] + GAMMA * (1 - TERMINATED[j]) * (mu_next + sigma_next * z[k, j] + NEXT_BONUS[j])
            y_b = mu[j] + np.clip(y_z - mu[j], -ZETA * m, ZETA * m)
            clipped.append(abs(y_z - mu[j]) > ZETA * m)
            slope_mu = -(m**2 + EPS) * (y_q - mu[j]) / (sigma[j] ** 2 + EPS) / count
            slope_sigma = -(m**2 + EPS) * ((mu[j] - y_b) ** 2 - sigma[j] ** 2) / (sigma[j] ** 3 + EPS) / count
            total += slope_mu * mu[j] + slope_sigma * sigma[j]
            slopes = np.array([slope_mu, slope_sigma * sigmoid(out[i, j, 1])])
            bias[i] += slopes
            kernel[i] += features[i, j][:, None] * slopes
    return {"loss": total, "kernel": kernel, "bias": bias, "averages": averages, "clipped": clipped}


@pytest.mark.parametrize(
    ("reward_scale", "previous", "clips"),
    [(1.0, None, "any"), (1.0, [50.0, 40.0], "none"), (30.0, [0.01, 0.02], "all")],
)
def test_loss_and_gradients_equal_the_equations(reward_scale: float, previous: list[float] | None, clips: str) -> None:
    batch, key = make_batch(reward_scale), wide_draw_key()
    expected = reference(batch, key, None if previous is None else np.array(previous))
    assert {"any": True, "none": not any(expected["clipped"]), "all": all(expected["clipped"])}[clips]
    aux = CRITIC.init_aux() if previous is None else jnp.float32(previous)
    (loss, (averages, _, metrics)), gradients = loss_and_gradients(
        params(0), params(1), aux, batch, NEXT_ACTION, NEXT_BONUS, key
    )
    assert float(loss) == pytest.approx(expected["loss"], rel=1e-4)
    np.testing.assert_allclose(averages, expected["averages"], rtol=1e-5)
    output = last_layer(gradients[0])
    np.testing.assert_allclose(output["bias"], expected["bias"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(output["kernel"], expected["kernel"], rtol=1e-3, atol=1e-3)
    # Nothing flows into the targets.
    for gradient in jax.tree.leaves(gradients[1:]):
        assert not np.any(gradient)
    assert all(np.isfinite(x) for x in metrics.values())


def test_the_batch_exercises_both_members() -> None:
    chosen, _ = chosen_member(make_batch())
    assert set(chosen[WEIGHT > 0]) == {0, 1}


def test_rows_without_weight_do_not_matter() -> None:
    batch, key = make_batch(), jax.random.key(3)
    garbage = {
        name: np.where(WEIGHT.reshape(-1, *[1] * (x.ndim - 1)) > 0, x, 1e3).astype(np.float32)
        for name, x in dataclasses.asdict(batch).items()
        if name not in ("weight", "one_step")
    }
    run = lambda batch: loss_and_gradients(  # noqa: E731
        params(0), params(1), CRITIC.init_aux(), batch, NEXT_ACTION, NEXT_BONUS, key
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        run(batch),
        run(Batch(**garbage, weight=WEIGHT)),
    )


def test_the_loss_by_hand() -> None:
    # One critic, two transitions. m = 2: factor 4.1; bound 6.
    # First: mu 1, sigma 1, y_q 3, y_z 4 (inside). (3-1)/1.1 = 1.818182; ((1-4)^2 - 1)/1.1 = 7.272727.
    # Second: mu 0, sigma 2, y_q -1, y_z 10, clipped to 6. -1/4.1 = -0.243902; (36 - 4)/8.1 = 3.950617.
    batch = Batch(*[jnp.zeros(2)] * 5, weight=jnp.ones(2))
    loss = lambda mean, std: gaussian_critic_loss(  # noqa: E731
        mean, std, jnp.array([3.0, -1.0]), jnp.array([4.0, 10.0]), jnp.array([2.0]), batch
    )
    mean, std = jnp.array([[1.0, 0.0]]), jnp.array([[1.0, 2.0]])
    value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1)))(mean, std)
    slopes_mean, slopes_std = np.array([1.818182, -0.243902]), np.array([7.272727, 3.950617])
    expected = -4.1 * ((slopes_mean * [1, 0]).mean() + (slopes_std * [1, 2]).mean())
    assert float(value) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradients[0], [-4.1 * slopes_mean / 2], rtol=1e-5)
    np.testing.assert_allclose(gradients[1], [-4.1 * slopes_std / 2], rtol=1e-5)


def test_targets_of_the_same_parameters_still_carry_no_gradient() -> None:
    batch, aux, key = make_batch(), CRITIC.init_aux(), jax.random.key(3)
    one = jax.grad(lambda p: CRITIC.loss(p, p, aux, batch, NEXT_ACTION, NEXT_BONUS, key)[0])
    other = lambda p: loss_and_gradients(p, p, aux, batch, NEXT_ACTION, NEXT_BONUS, key)[1][0]  # noqa: E731
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        jax.jit(one)(params(0)),
        other(params(0)),
    )


def test_value_is_the_smallest_mean() -> None:
    batch = make_batch()
    _, out = ensemble(params(0), np.concatenate([batch.obs, batch.action], -1), gelu)
    value = jax.jit(CRITIC.value)(params(0), batch.obs, batch.action)
    np.testing.assert_allclose(value, out[..., 0].min(0), rtol=1e-4, atol=1e-5)


def test_dsacs_unrefined_loss_follows_the_sampled_target_unscaled() -> None:
    """DSAC: one critic, the sample as target of the mean too, its clip bound from the batch, no weight."""
    critic = gaussian_critic(SPEC, mlp((8,)), members=1, tau_b=1.0, refined=False)
    one, other = (jax.tree.map(lambda x: x[:1], params(seed)) for seed in (0, 1))
    batch, key = make_batch(), jax.random.key(3)
    z = np.clip(f64(jax.random.normal(key, (1, BATCH))), -3, 3)[0]
    _, next_out = ensemble(other, np.concatenate([batch.next_obs, NEXT_ACTION], -1), gelu)
    _, out = ensemble(one, np.concatenate([batch.obs, batch.action], -1), gelu)
    mu, sigma, share = out[0, :, 0], softplus(out[0, :, 1]), f64(WEIGHT) / WEIGHT.sum()
    y = batch.reward + GAMMA * (1 - TERMINATED) * (next_out[0, :, 0] + softplus(next_out[0, :, 1]) * z + NEXT_BONUS)
    bound = 3 * (share * sigma).sum()
    clipped = mu + np.clip(y - mu, -bound, bound)
    slope_mu = -share * (y - mu) / (sigma**2 + EPS)
    slope_sigma = -share * ((mu - clipped) ** 2 - sigma**2) / (sigma**3 + EPS) * sigmoid(out[0, :, 1])
    # Averages of earlier batches do not count.
    gradient, _ = jax.jit(jax.grad(critic.loss, has_aux=True))(
        one, other, jnp.float32([50.0]), batch, NEXT_ACTION, NEXT_BONUS, key
    )
    np.testing.assert_allclose(last_layer(gradient)["bias"][0], [slope_mu.sum(), slope_sigma.sum()], rtol=1e-3, atol=1e-4)

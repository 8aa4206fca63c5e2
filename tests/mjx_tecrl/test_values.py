"""State values and PopArt."""

import jax
import numpy as np
import pytest

from mjx_tecrl import Spec
from mjx_tecrl.networks import mlp, residual
from mjx_tecrl.values import value_head
from tests.mjx_tecrl import reference

SPEC = Spec(obs_size=3, action_size=2, privileged_size=1)


def obs_and_targets() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = (300 + 40 * rng.normal(size=16)).astype(np.float32)
    return rng.normal(size=(16, 4)).astype(np.float32), targets, np.arange(16) < 12


def test_plain_value_is_the_networks_output_and_stays_plain() -> None:
    head = value_head(SPEC, mlp((8,), "tanh"))
    params, stats = jax.jit(head.init)(jax.random.key(0)), head.init_stats()
    obs, targets, valid = obs_and_targets()
    expected = reference.mlp(params, obs, np.tanh)[1][:, 0]
    np.testing.assert_allclose(head.value(params, stats, obs), expected, atol=1e-5)
    assert float(head.loss(params, stats, obs, targets, valid)[0]) == pytest.approx(
        0.5 * ((expected - targets)[valid] ** 2).mean(), rel=1e-4
    )
    same, still = head.renormalize(params, stats, targets, valid)
    jax.tree.map(np.testing.assert_array_equal, (same, still), (params, stats))


def test_popart_follows_the_targets_and_changes_no_value() -> None:
    head = value_head(SPEC, mlp((8, 8), "tanh"), popart=0.25)
    params, stats = jax.jit(head.init)(jax.random.key(0)), head.init_stats()
    obs, targets, valid = obs_and_targets()
    before = head.value(params, stats, obs)
    renormalize = jax.jit(head.renormalize)
    for number, scale in enumerate((1.0, 0.5, 2.0)):
        target = scale * targets
        new_params, stats = renormalize(params, stats, target, valid)
        np.testing.assert_allclose(head.value(new_params, stats, obs), before, rtol=1e-4, atol=2e-3)
        if number == 0:
            shift, spread = stats.shift_and_scale()
            assert float(shift) == pytest.approx(target[valid].mean(), rel=1e-4)
            assert float(spread) == pytest.approx(target[valid].std(), rel=1e-2)
        params = new_params
    # Averages with weights 1/4 of the last, 3/16 of the one before, 9/64 of the first, over their sum.
    weights = np.array([9 / 64, 3 / 16, 1 / 4])
    mean = (weights * [1, 0.5, 2]).sum() / weights.sum() * targets[valid].mean()
    assert float(stats.shift_and_scale()[0]) == pytest.approx(mean, rel=1e-4)


def test_targets_that_are_no_transitions_are_not_seen() -> None:
    head = value_head(SPEC, mlp((8,), "tanh"), popart=0.5)
    params, stats = jax.jit(head.init)(jax.random.key(0)), head.init_stats()
    obs, targets, valid = obs_and_targets()
    dirty = np.where(valid, targets, np.nan)
    clean, seen = (head.renormalize(params, stats, t, valid) for t in (targets, dirty))
    jax.tree.map(np.testing.assert_array_equal, clean, seen)
    assert np.isfinite(head.loss(*seen, obs, dirty, valid)[0])
    same, still = head.renormalize(params, stats, targets, np.zeros(16, bool))
    jax.tree.map(np.testing.assert_array_equal, (same, still), (params, stats))


def test_equal_targets_have_a_scale() -> None:
    head = value_head(SPEC, mlp((8,), "tanh"), popart=1.0)
    params, stats = jax.jit(head.init)(jax.random.key(0)), head.init_stats()
    _, targets, valid = obs_and_targets()
    params, stats = head.renormalize(params, stats, np.full_like(targets, 7), valid)
    assert float(stats.shift_and_scale()[1]) == pytest.approx(0.01, rel=0.5)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(params))


@pytest.mark.parametrize("popart", [-0.1, 1.1, float("nan")])
def test_a_bad_step_is_refused(popart: float) -> None:
    with pytest.raises(ValueError, match=r"popart must be in \[0, 1\]"):
        value_head(SPEC, mlp((8,), "tanh"), popart=popart)


def test_a_value_runs_on_a_network_with_batch_statistics() -> None:
    head = value_head(SPEC, residual(1, 8))
    params, stats = jax.jit(head.init)(jax.random.key(0)), head.init_stats()
    obs, targets, valid = obs_and_targets()
    (loss, statistics), gradient = jax.jit(jax.value_and_grad(head.loss, has_aux=True))(params, stats, obs, targets, valid)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((loss, gradient)))
    settled = head.settle(params, statistics)
    mean = settled["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_allclose(mean, 0.01 * obs[valid].mean(0), rtol=1e-4)
    assert head.value(settled, stats, obs).shape == (16,)


def test_popart_on_a_network_that_cannot_be_rescaled_is_refused() -> None:
    with pytest.raises(ValueError, match="keeps its weights on spheres: popart must be 0"):
        value_head(SPEC, residual(1, 8), popart=0.1)

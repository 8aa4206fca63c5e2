"""Running statistics of observations, against numpy over everything seen."""

import jax
import jax.numpy as jnp
import numpy as np

from mjx_tecrl.normalizer import init_normalizer, update_normalizer

update = jax.jit(update_normalizer)
normalize = jax.jit(lambda normalizer, obs: normalizer.normalize(obs))


def test_statistics_are_those_of_everything_seen() -> None:
    rng = np.random.default_rng(0)
    normalizer, everything = init_normalizer(3), np.zeros((0, 3))
    probe = rng.normal(size=(5, 3)).astype(np.float32)
    for i in range(8):
        obs = (rng.normal(size=(16, 3)) * [1, 10, 0.1] + [0, 100 + i, -3]).astype(np.float32)
        seen = rng.uniform(size=16) < (0.0 if i in (0, 4) else 0.6)
        everything = np.concatenate([everything, obs[seen]])
        obs[~seen] = rng.choice([np.nan, np.inf, 1e30], size=3)
        normalizer = update(normalizer, obs, seen)
        assert int(normalizer.count) == len(everything)
        if len(everything) == 0:
            np.testing.assert_array_equal(normalize(normalizer, probe), probe)
            continue
        np.testing.assert_allclose(normalizer.mean, everything.mean(0), rtol=1e-5, atol=1e-5)
        std = np.sqrt(normalizer.squares / normalizer.count)
        np.testing.assert_allclose(std, everything.std(0), rtol=1e-4, atol=1e-5)
        expected = (probe - everything.mean(0)) / (everything.std(0) + 0.01)
        np.testing.assert_allclose(normalize(normalizer, probe), expected, rtol=1e-3, atol=1e-3)


def test_nothing_seen_changes_nothing() -> None:
    normalizer = update(init_normalizer(2), jnp.array([[1.0, 2.0], [3.0, 5.0]]), jnp.ones(2, bool))
    same = update(normalizer, jnp.full((2, 2), jnp.nan), jnp.zeros(2, bool))
    jax.tree.map(np.testing.assert_array_equal, same, normalizer)


def test_a_large_offset_does_not_cost_the_variance() -> None:
    # The textbook E[x^2] - E[x]^2 would lose it altogether in float32.
    rng = np.random.default_rng(1)
    normalizer = init_normalizer(1)
    everything = (10_000 + rng.normal(size=(50, 64, 1))).astype(np.float32)
    for obs in everything:
        normalizer = update(normalizer, obs, np.ones(64, bool))
    std = float(jnp.sqrt(normalizer.squares / normalizer.count)[0])
    assert abs(std - everything.astype(np.float64).std()) < 0.01

"""The deterministic head."""

import jax
import numpy as np

from mjx_tecrl import Spec
from mjx_tecrl.networks import mlp
from mjx_tecrl.policies import deterministic
from tests.mjx_tecrl import reference
from tests.mjx_tecrl.reference import gelu

SPEC = Spec(obs_size=3, action_size=2, privileged_size=1)
POLICY = deterministic(SPEC, mlp((8,)))


def test_the_action_is_the_tanh_of_the_network_and_a_sample_is_the_action() -> None:
    params = POLICY.init(jax.random.key(0))
    obs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    expected = np.tanh(reference.mlp(params, obs[:, :3], gelu)[1])  # the policy ignores the last column
    np.testing.assert_allclose(POLICY.mode(params, obs), expected, rtol=1e-4, atol=1e-5)
    sample = POLICY.sample(params, obs, jax.random.key(1))
    np.testing.assert_array_equal(sample.action, POLICY.mode(params, obs))
    assert np.isnan(sample.log_prob).all()
    assert not POLICY.has_density

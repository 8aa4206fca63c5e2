"""The absent entropy rule."""

import jax
import numpy as np

from mjx_tecrl.entropy import no_entropy
from mjx_tecrl.policies import ActionSample


def test_it_adds_nothing_and_learns_nothing() -> None:
    rule = no_entropy()
    sample = ActionSample(np.ones((4, 2), np.float32), np.ones(4, np.float32), np.ones((4, 2), np.float32))
    assert rule.init_critic(jax.random.key(0)) == ()
    assert rule.init_temperature() == ()
    np.testing.assert_array_equal(rule.next_bonus((), sample), np.zeros(4))
    np.testing.assert_array_equal(rule.policy_cost((), (), sample.action, sample), np.zeros(4))
    assert rule.critic_loss((), (), None, sample) == (0, ((), {}))
    assert rule.temperature_loss((), (), None, sample, None) == (0, {})

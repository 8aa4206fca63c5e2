"""MJX against C MuJoCo: one step from the same states, the contact forces, and whole episodes in distribution.

Contacts are chaotic, so single episodes differ after tens of steps. The returns and lengths of many episodes must have the
same distribution.
"""

import functools
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scipy import stats

import envs
from benchmarks.originals import GymnasiumOriginal
from envs.engines import SolverConfig, make_engine
from tests.runs import long_but

WORLDS = 64


def spread(tree: Any) -> Any:
    """Takes `WORLDS` of the 210 states, from all three sets."""
    return jax.tree.map(lambda x: jnp.asarray(x[:: len(x) // WORLDS][:WORLDS]), tree)


@functools.cache
def step(name: str, engine: str) -> Any:
    """A task's jitted step of many worlds. It is compiled once, since MJX takes long to compile."""
    return jax.jit(jax.vmap(envs.make(name, physics=engine).step))


@pytest.mark.parametrize("name", long_but(("half_cheetah",), ("hopper", "half_cheetah")))
def test_one_step_equals_native(name: str, states: Any) -> None:
    """Compares 64 states, with the measured solver settings. Both engines get the same state as it is."""
    state, action = spread(states(name))
    expected, got = step(name, "native")(state, action), step(name, "mjx")(state, action)

    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
    np.testing.assert_allclose(got.physics.qpos, expected.physics.qpos, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(got.physics.qvel, expected.physics.qvel, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(got.obs, expected.obs, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(got.reward, expected.reward, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(got.terminated, expected.terminated)
    # Nearly all states are far closer than the worst ones, in which a contact has just been made.
    assert np.median(np.abs(got.physics.qvel - expected.physics.qvel).max(1)) < 1e-4


@pytest.mark.slow
@pytest.mark.long
def test_humanoid_with_contact_forces_equals_gymnasiums(states: Any) -> None:
    task = envs.make("humanoid-v5", physics="mjx")
    drawn, action = spread(states("humanoid"))

    reference = GymnasiumOriginal(task)
    outcomes = []
    for world in range(WORLDS):
        reference.reset_to(jax.tree.map(lambda x, w=world: x[w], drawn.physics))
        outcomes.append(reference.step(np.asarray(action[world])))

    native = envs.make("humanoid-v5", physics="native")
    begun = jax.jit(jax.vmap(lambda qpos, qvel: native.reset_to(qpos, qvel, {})))(drawn.physics.qpos, drawn.physics.qvel)
    ours = jax.device_get(jax.jit(jax.vmap(task.step))(begun, action))

    assert task.obs_size == 348
    contacts = 0
    for world, (obs, reward, terms, terminated) in enumerate(outcomes):
        forces = np.s_[-78:]
        np.testing.assert_allclose(ours.obs[world][:-78], obs[:-78], rtol=1e-3, atol=5e-3)
        np.testing.assert_allclose(
            ours.obs[world][forces], obs[forces], rtol=1e-3, atol=1e-3 * (1 + np.abs(obs[forces]).max())
        )
        np.testing.assert_allclose(ours.metrics["reward_contact"][world], terms["reward_contact"], rtol=5e-3, atol=1e-5)
        np.testing.assert_allclose(ours.reward[world], reward, rtol=1e-3, atol=5e-3)
        assert ours.terminated[world] == terminated
        contacts += np.abs(obs[forces]).max() > 1
    assert contacts > WORLDS // 4


@pytest.mark.slow
@pytest.mark.long
def test_episodes_are_distributed_as_natives() -> None:
    """Those of the inverted pendulum under a trained policy are compared in the tests of scores."""
    name, n = "inverted_double_pendulum", 400

    def policy(
        obs: jax.Array,
    ) -> jax.Array:  # noise that depends on the observation only, so that it is the same in both engines
        return jnp.sin(1e4 * obs.sum(axis=1, keepdims=True))

    episodes = {}
    for seed, engine in enumerate(("native", "mjx")):
        env = envs.make(name, physics=engine)
        episodes[engine] = jax.jit(lambda key, env=env: envs.run_episodes(env, policy, key, n))(jax.random.key(seed))
        assert not episodes[engine].diverged.any()
        assert (episodes[engine].lengths < env.episode_length).all()
    assert len(np.unique(episodes["native"].lengths)) > 3
    for field in ("returns", "lengths"):
        a, b = (np.asarray(getattr(episodes[engine], field)) for engine in ("native", "mjx"))
        assert stats.ks_2samp(a, b).pvalue > 1e-3


SLIDING = """
<mujoco>
  <option cone="{cone}"/>
  <worldbody>
    <geom type="plane" size="5 5 .1"/>
    <body>
      <freejoint/>
      <geom type="capsule" size=".1 .3"/>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_only_the_friction_pyramid_of_steep_capsules_differs_from_c_mujocos(cone: str) -> None:
    """MJX turns the pyramid to the world's axes if a capsule stands steeper than 60 degrees; C MuJoCo never does.

    If this fails because they agree, MJX has changed, and docs/physics.md needs a new table of parity.
    """
    model = mujoco.MjModel.from_xml_string(SLIDING.format(cone=cone))
    steep, flat = np.deg2rad([20, 70])  # from the vertical
    qpos = []
    for tilt in (steep, flat):
        height = 0.1 + 0.3 * np.cos(tilt) - 1e-3  # 1 mm deep
        quat = np.zeros(4)
        turned = np.array([np.cos(np.pi / 6), 0, 0, np.sin(np.pi / 6)])  # relative to the world's axes
        mujoco.mju_mulQuat(quat, turned, np.array([np.cos(tilt / 2), np.sin(tilt / 2), 0, 0]))
        qpos.append([0, 0, height, *quat])
    qvel = jnp.array([[0.7, 0.2, 0, 0, 0, 0]] * 2)
    native, mjx = (make_engine(model, (), engine, SolverConfig()) for engine in ("native", "mjx"))
    begun, _ = jax.jit(jax.vmap(native.init))(jnp.array(qpos), qvel)  # used for both, since MJX's own takes long to compile
    expected, got = (
        jax.jit(jax.vmap(lambda state, e=engine: e.step(state, jnp.zeros(0), 1)[0].qvel))(begun) for engine in (native, mjx)
    )
    of_steep, of_flat = np.abs(np.asarray(got) - np.asarray(expected)).max(axis=1)
    assert of_flat < 1e-5
    if cone == "pyramidal":
        assert of_steep > 1e-2
    else:
        assert of_steep < 1e-5


def test_importing_mjx_prints_nothing() -> None:
    """Left alone, MJX would print to standard output, among the user's results, that its optional Warp is missing."""
    out = subprocess.run([sys.executable, "-c", "import envs"], capture_output=True, text=True, check=True)
    assert (out.stdout, out.stderr) == ("", "")


def test_a_world_that_blows_up_is_not_a_number_and_the_others_do_not_notice(states: Any) -> None:
    state, action = spread(states("half_cheetah"))
    clean = step("half_cheetah", "mjx")(state, action)
    got = step("half_cheetah", "mjx")(state, action.at[7, 2].set(jnp.nan))
    assert np.isnan(got.physics.qpos[7]).any()
    assert np.isnan(got.obs[7]).any()
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(clean), strict=True):
        np.testing.assert_array_equal(np.delete(a, 7, axis=0), np.delete(b, 7, axis=0))

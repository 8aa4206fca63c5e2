"""A task and an agent put together: acting needs no training program."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.command import UserError
from eval.restore import load_problem
from tests.runs import quiet, tiny_config
from train.loop import train
from train.problem import join, make_problem, tracing_note

KEY = jax.random.key(0)


def test_the_policy_takes_what_other_simulators_give() -> None:
    problem = make_problem(tiny_config())
    policy = problem.policy(problem.init_actor(KEY))
    obs = np.arange(8.0).reshape(2, 4)  # NumPy's own precision is double
    action = policy(obs)
    assert action.shape == (2, 1)
    np.testing.assert_array_equal(action, policy(jnp.asarray(obs)))
    np.testing.assert_array_equal(action, jax.jit(policy)(obs))
    for width in (3, 5):
        with pytest.raises(ValueError, match=f"an observation of inverted_pendulum must be 4 wide, not {width}"):
            policy(np.zeros((2, width)))


def test_an_actor_is_known_by_its_shapes_before_it_is_there() -> None:
    problem = make_problem(tiny_config(agent="flash_sac"))
    shapes, actor = problem.actor_shapes(), problem.init_actor(KEY)
    assert jax.tree.structure(shapes) == jax.tree.structure(actor)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), shapes) == jax.tree.map(lambda x: (x.shape, x.dtype), actor)


def test_networks_see_normalised_observations_where_the_config_says_so() -> None:
    obs = jnp.full((1, 4), 7.0)
    for normalize in (True, False):
        problem = make_problem(tiny_config(normalize_obs=normalize))
        seen = dataclasses.replace(problem.init_actor(KEY).normalizer, count=jnp.float32(4.0), mean=jnp.full(4, 7.0))
        np.testing.assert_array_equal(problem.observe(seen, obs), jnp.zeros((1, 4)) if normalize else obs)


def test_what_the_policy_observes_comes_first() -> None:
    obs = {"state": jnp.zeros((2, 3)), "privileged": jnp.ones((2, 1))}
    np.testing.assert_array_equal(join(obs), jnp.asarray([[0, 0, 0, 1]] * 2, jnp.float32))
    randomization = envs.Randomization(mass=(0.9, 1.1), privileged=True)
    problem = make_problem(tiny_config(randomization=randomization))
    assert problem.spec.critic_obs_size == problem.env.obs_size + problem.env.privileged_size > problem.spec.obs_size


def test_refused_arguments_are_one_sentence() -> None:
    config = tiny_config(agent="fast_sac_era")
    args = dataclasses.replace(config.agent_args, value_range=(1.0, -1.0))
    with pytest.raises(UserError, match=r"^--agent\.value-range must be an increasing pair, not .*\.$"):
        make_problem(dataclasses.replace(config, agent_args=args))


def test_the_config_names_the_engine_that_auto_stands_for() -> None:
    problem = make_problem(tiny_config(physics="auto"))
    assert (problem.config.physics, problem.env.engine_name) == ("native", "native")


@pytest.mark.usefixtures("nvidia")
@pytest.mark.parametrize(("deterministic", "engine"), [(False, "warp"), (True, "mjx")])
def test_on_an_nvidia_gpu_auto_is_warp_unless_the_run_is_to_be_repeatable(deterministic: bool, engine: str) -> None:
    pytest.importorskip("warp")
    problem = make_problem(tiny_config(physics="auto", deterministic=deterministic))
    assert (problem.config.physics, problem.env.engine_name) == (engine, engine)


def test_a_line_is_printed_before_mjx_is_traced(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tracing a robot with meshes takes minutes, in which nothing else would be seen."""

    def traced(*_: object) -> None:
        raise UserError("traced")

    monkeypatch.setattr("train.loop.Program", traced)
    monkeypatch.setattr("eval.restore.make_problem", traced)
    config = tiny_config(tmp_path, physics="mjx")
    console = quiet()
    with pytest.raises(UserError, match="traced"):
        train(config, console=console)
    note = "tracing inverted_pendulum for mjx; with many meshes or contacts this alone takes minutes\n"
    assert console.file.getvalue() == note  # type: ignore[attr-defined]
    config.save(tmp_path)
    with pytest.raises(UserError, match="traced"):
        load_problem(tmp_path)
    assert capsys.readouterr().err == note
    assert tracing_note(tiny_config()) is None


@pytest.mark.usefixtures("nvidia")
@pytest.mark.parametrize(("deterministic", "engine"), [(False, "warp"), (True, "mjx")])
def test_the_line_names_the_engine_that_auto_traces_first(deterministic: bool, engine: str) -> None:
    note = tracing_note(tiny_config(physics="auto", deterministic=deterministic))
    assert note is not None
    assert note.startswith(f"tracing inverted_pendulum for {engine};")

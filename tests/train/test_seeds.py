"""Several seeds in one program: each is the run that it would be alone."""

import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs.command import UserError
from eval.restore import restore
from tests.jaxprs import branches, equations
from tests.runs import CHUNK_STEPS, long_but, quiet, restore_state, shared_program, tiny_config, untimed
from train.checkpoints import Checkpoints
from train.config import Config, load_config
from train.loop import train
from train.program import Program
from train.progress import together
from train.run_dir import seed_configs
from train.seeds import all_seeds, one_seed, seed_axes
from train.state import TrainState, state_axes

SEEDS = {"num_seeds": 2, "seed": 3}


def final(config: Config) -> TrainState:
    return restore_state(Checkpoints(pathlib.Path(str(config.run_dir))), shared_program(config).state_shapes())[1]


@pytest.fixture(scope="module", params=long_but(["td3"], ["td3", "ppo"]))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A finished run of two seeds: with a delay and a first fill, which are conditions on counters; and with rollouts."""
    config = tiny_config(tmp_path_factory.mktemp("seeds") / "run", request.param, **SEEDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.loop.Program", shared_program)
        train(config, console=quiet())
    return config


@pytest.mark.usefixtures("programs")
def test_each_seed_is_the_run_it_would_be_alone(run: Config, tmp_path: pathlib.Path) -> None:
    for number, config in enumerate(seed_configs(run, pathlib.Path(str(run.run_dir)))):
        run_dir = pathlib.Path(str(config.run_dir))
        assert run_dir.name == f"seed-{3 + number}"
        assert load_config(run_dir).to_json() | {"compilation_cache": None} == config.to_json()
        alone = tiny_config(tmp_path / f"alone-{number}", run.agent, seed=3 + number)
        train(alone, console=quiet())
        assert Checkpoints(run_dir).steps == Checkpoints(pathlib.Path(str(alone.run_dir))).steps
        for x, y in zip(*map(jax.tree.leaves, map(data, (final(config), final(alone)))), strict=True):
            assert (x.dtype, x.shape) == (y.dtype, y.shape)
            if np.issubdtype(x.dtype, np.floating):
                np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-4)  # sums in another order
            else:
                np.testing.assert_array_equal(x, y)
        for ours, theirs in zip(untimed(run_dir), untimed(pathlib.Path(str(alone.run_dir))), strict=True):
            assert ours.keys() == theirs.keys()
            for name in ours:
                assert ours[name] == pytest.approx(theirs[name], rel=2e-2, abs=1e-3), name
    assert (tmp_path / "alone-0").exists()


def data(state: TrainState) -> TrainState:
    """The state with its keys as their data."""
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)  # noqa: E731
    return jax.tree.map(lambda x: np.asarray(jax.random.key_data(x) if is_key(x) else x), state)


def test_seeds_differ(run: Config) -> None:
    first, second = map(final, seed_configs(run, pathlib.Path(str(run.run_dir))))
    changed = jax.tree.map(lambda x, y: bool(np.any(x != y)), first.actor.agent, second.actor.agent)
    assert any(jax.tree.leaves(changed))


@pytest.mark.usefixtures("programs")
def test_a_resumed_run_is_the_whole_one_from_the_newest_step_that_all_seeds_have(
    run: Config, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, again = pathlib.Path(str(run.run_dir)), tmp_path / "again"
    shutil.copytree(whole, again)
    for name in ("seed-3", "seed-4"):
        shutil.rmtree(again / name / "checkpoints" / "320")
    manifest = again / "seed-4" / "checkpoints" / "240" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:100])
    config = tiny_config(again, run.agent, **SEEDS)
    train(config, resume=True, console=quiet())
    assert "seed-4/checkpoints is damaged" in capsys.readouterr().err
    for before, after in zip(seed_configs(run, whole), seed_configs(config, again), strict=True):
        assert untimed(pathlib.Path(str(before.run_dir))) == untimed(pathlib.Path(str(after.run_dir)))
        for x, y in zip(*map(jax.tree.leaves, map(data, (final(before), final(after)))), strict=True):
            np.testing.assert_array_equal(x, y)


def test_each_seed_is_a_run_directory_for_the_other_commands(run: Config) -> None:
    run_dir = pathlib.Path(str(run.run_dir))
    assert restore(run_dir / "seed-4").step == 4 * CHUNK_STEPS
    with pytest.raises(UserError, match=r"holds 2 seeds: name one of them, such as \S*seed-3\.$"):
        restore(run_dir)


def test_what_conditions_depend_on_is_the_same_in_all_seeds() -> None:
    """Otherwise every condition would compute both of its sides."""
    program = Program(tiny_config(agent="td3", **SEEDS))
    shapes = program.state_shapes()
    jaxpr = jax.make_jaxpr(program.advance)(shapes, 2)
    assert len(branches(jaxpr)) == 1  # the delay
    loops = [equation.params["cond_jaxpr"].out_avals for equation in equations(jaxpr) if equation.primitive.name == "while"]
    assert len(loops) == 2  # the iterations, and the one turn or none of the gradient steps
    assert all(aval.shape == () for avals in loops for aval in avals)
    assert shapes.updates.shape == shapes.actor.agent.updates.shape == ()
    state = program.fresh_state()
    axes = state_axes(state, program.training.problem.agent)
    parts = [one_seed(state, axes, number) for number in range(2)]
    for x, y in zip(*map(jax.tree.leaves, map(data, (all_seeds(parts, axes), state))), strict=True):
        np.testing.assert_array_equal(x, y)
    assert jax.tree.structure(parts[0]) == jax.tree.structure(Program(tiny_config(agent="td3")).state_shapes())
    assert seed_axes(axes).vector_steps is None


def test_a_seed_that_is_there_already_is_not_overwritten(tmp_path: pathlib.Path) -> None:
    (tmp_path / "seed-4").mkdir()
    tiny_config().save(tmp_path / "seed-4")
    with pytest.raises(UserError, match="seed-4 holds a run already"):
        train(tiny_config(tmp_path, **SEEDS), console=quiet())


@pytest.mark.usefixtures("programs")
def test_seeds_do_not_begin_again_because_one_is_missing(run: Config, tmp_path: pathlib.Path) -> None:
    again = shutil.copytree(str(run.run_dir), tmp_path / "again")
    steps = Checkpoints(again / "seed-3").steps
    assert len(steps) > 1
    shutil.rmtree(again / "seed-4" / "checkpoints")
    with pytest.raises(UserError, match="seed-4 has no checkpoint, while other seeds of the run have some"):
        train(tiny_config(again, run.agent, **SEEDS), resume=True, console=quiet())
    assert Checkpoints(again / "seed-3").steps == steps


def test_what_is_shown_of_several_seeds() -> None:
    lines = [
        {"env_steps": 10, "speed/env_steps_per_s": 4.0, "safety/diverged_total": 1, "agent/entropy": None},
        {
            "env_steps": 10,
            "speed/env_steps_per_s": 4.0,
            "safety/diverged_total": 2,
            "agent/entropy": 3.0,
            "eval/return_mean": 5.0,
        },
    ]
    assert together(lines) == {
        "env_steps": 10,
        "speed/env_steps_per_s": 4.0,
        "safety/diverged_total": 3,
        "agent/entropy": 3.0,
        "eval/return_mean": 5.0,
    }
    assert together(lines[:1]) is lines[0]


def test_no_seeds_are_one_sentence() -> None:
    with pytest.raises(UserError, match="--num-seeds must be at least 1, not 0"):
        tiny_config(num_seeds=0).validate()


def test_configs_of_seeds_can_be_written(tmp_path: pathlib.Path) -> None:
    configs = seed_configs(tiny_config(**SEEDS), tmp_path)
    assert [config.seed for config in configs] == [3, 4]
    assert all(json.dumps(config.to_json()) and config.num_seeds == 1 for config in configs)

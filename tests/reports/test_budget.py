"""A run makes what it is asked for: environment steps, and gradient steps whatever the number of worlds."""

import dataclasses
import json
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from tests.runs import leaves, quiet, restore_state, shared_program, tiny_config, untimed
from train.checkpoints import Checkpoints
from train.config import Config, load_config
from train.loop import train
from train.plan import Plan
from train.problem import make_problem
from train.run import parse
from train.training import Training

CHECKPOINTS = pathlib.Path(__file__).parent.parent / "train" / "checkpoints"


def plan_of(config: Config) -> Plan:
    config = config.validate()
    return Plan(config, Training(make_problem(config)))


@pytest.mark.parametrize("env", ["humanoid", "inverted_pendulum"])
@pytest.mark.parametrize("worlds", [1, 3, 16, 24, 256, 4096])
def test_worlds_do_not_change_the_number_of_gradient_steps(env: str, worlds: int) -> None:
    """The README's command with 4096 worlds made 488 gradient steps on a CPU, and one with 16 worlds 125 000."""
    _, config = parse(["--env", env, "--preset", "quick", "--physics", "native", "--num-envs", str(worlds)])
    plan = plan_of(config)
    late = max(config.learning_starts, 2 * worlds) // 16
    expected = config.total_steps // 16 - late
    assert plan.updates == pytest.approx(expected, rel=0.04, abs=2 * worlds // 16)
    assert f"{plan.updates:,d} gradient steps" in plan.describe()


@pytest.mark.parametrize("agent", ["ppo", "eapo"])
@pytest.mark.parametrize("worlds", [1, 8, 24, 256, 4096])
def test_worlds_do_not_change_the_number_of_gradient_steps_on_rollouts(agent: str, worlds: int) -> None:
    """The same of agents without a replay: with 4096 worlds they made 4 rollouts."""
    flags = ["--env", "humanoid", "--agent", agent, "--preset", "quick", "--physics", "native"]
    own, other = (plan_of(parse([*flags, *more])[1]) for more in ([], ["--num-envs", str(worlds)]))
    assert other.updates == pytest.approx(own.updates, rel=0.04)
    assert other.iterations > 30
    assert not list(other.warnings())
    _, config = parse([*flags, "--num-envs", str(worlds), "--agent.rollout-steps", "32", "--agent.minibatches", "4"])
    assert (config.agent_args.rollout_steps, config.agent_args.minibatches) == (32, 4)


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("worlds", [2, 16, 64])
def test_a_run_makes_the_gradient_steps_that_it_announces(tmp_path: pathlib.Path, worlds: int) -> None:
    """As above, with real runs."""
    pace: dict[str, Any] = {"steps_per_update": 8.0, "updates_per_step": None}
    values = pace | {"num_envs": worlds, "total_steps": 640, "log_steps": 320, "learning_starts": 128, "replay_size": 800}
    config = tiny_config(tmp_path, **values)
    console = quiet()
    train(config, console=console)
    [*_, last] = untimed(tmp_path)
    assert last["updates"] == plan_of(config).updates
    assert (640 - 128) / 8 <= last["updates"] <= (640 - 128 + worlds) / 8 + 1
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"640 environment steps, {last['updates']} gradient steps: " in text
    assert "or one per 8 environment steps\n" in text


def test_a_number_of_gradient_steps_per_vector_step_wins() -> None:
    """Who sets --updates-per-step gets it."""
    _, config = parse(["--env", "hopper", "--preset", "quick", "--num-envs", "4096", "--updates-per-step", "2"])
    assert config.update_schedule == (2, 1)


@pytest.mark.parametrize("schema", ["schema-1", "schema-2"])
def test_older_runs_keep_their_gradient_steps(schema: str, tmp_path: pathlib.Path) -> None:
    """A config from before there was --steps-per-update resumes as it was."""
    shutil.copytree(CHECKPOINTS / schema, tmp_path / "run")
    config = load_config(tmp_path / "run")
    assert (config.updates_per_step, config.steps_per_update, config.update_schedule) == (1, 0, (1, 1))
    resume, again = parse(["--run-dir", str(tmp_path / "run"), "--resume"])
    assert resume
    assert again == dataclasses.replace(config, run_dir=again.run_dir)
    assert again.validate()


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(("worlds", "total", "made"), [(4, 200, 200), (3, 400, 402), (4, 100, 100)])
def test_a_run_is_as_long_as_it_is_asked_to_be(tmp_path: pathlib.Path, worlds: int, total: int, made: int) -> None:
    """SB3#366, SB3#1150, SB3#2175, mujoco_playground#52: more steps than total_steps.

    Whole vector steps of 3 worlds cannot make 400 environment steps, and the first lines say so.
    """
    config = tiny_config(tmp_path, num_envs=worlds, total_steps=total, replay_size=600)
    console = quiet()
    train(config, console=console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert f"Done: {made} steps" in text
    assert (f"(--total-steps {total}, rounded up to a multiple of 3)" in text) == (made != total)
    [*_, last] = untimed(tmp_path)
    assert last["env_steps"] == Checkpoints(tmp_path).steps[-1] == made
    assert "eval/return_mean" in last
    assert f"{made} / {made} steps" in text


@pytest.mark.usefixtures("programs")
def test_a_run_that_ended_in_a_short_interval_goes_on_as_if_it_had_not(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Resumed with more steps it is the run that was that long from the beginning, bit for bit."""
    config = tiny_config(tmp_path / "run", total_steps=100)
    train(config, console=quiet())
    assert [line["env_steps"] for line in untimed(tmp_path / "run")] == [80, 100]
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    train(config, resume=True, console=quiet())
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    train(dataclasses.replace(config, total_steps=320), resume=True, console=quiet())
    assert untimed(tmp_path / "run") == untimed(tiny_run)
    shapes = shared_program(config).state_shapes()
    states = [restore_state(Checkpoints(path), shapes)[1] for path in (tiny_run, tmp_path / "run")]
    for x, y in zip(*map(leaves, states), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.usefixtures("programs")
def test_the_score_of_a_short_last_interval_belongs_to_its_checkpoint(tmp_path: pathlib.Path) -> None:
    """As above: what is kept as the best checkpoint depends on it."""
    train(tiny_config(tmp_path, total_steps=100), console=quiet())
    manifest = json.loads((tmp_path / "checkpoints" / "100" / "manifest.json").read_text())
    notes = json.loads(manifest["manifest"])["notes"]
    assert notes["return_mean"] == untimed(tmp_path)[-1]["eval/return_mean"]


@pytest.mark.parametrize(
    ("flags", "sentences"),
    [
        ("--total-steps 400", ["ends after 400 environment steps, before its first gradient step (--learning-starts 2000)"]),
        ("--total-steps 16000", ["makes 876 gradient steps, and hardly anything is learned in fewer than 1000"]),
        ("--num-envs 4096 --updates-per-step 1", ["makes 28 gradient steps", "raise --updates-per-step"]),
        ("--num-envs 256 --replay-size 2100", ["holds the last 8 steps of each of the 256 worlds", "--replay-size to 2560"]),
        ("--agent ppo --total-steps 20000", ["makes 10 rollouts, and hardly anything is learned from fewer than 20"]),
        ("", []),
        ("--num-envs 256", []),
        ("--num-envs 2048 --total-steps 2000000", ["this run has 945 policies that act, with 128 gradient steps"]),
        ("--num-envs 2048 --total-steps 3000000", []),
        ("--agent ppo", []),
    ],
)
def test_settings_under_which_nothing_is_learned_are_named(flags: str, sentences: list[str]) -> None:
    """stable-baselines#754: a run that never learns says nothing."""
    agent = [] if "--agent" in flags else ["--agent", "sac"]
    _, config = parse(["--env", "inverted_pendulum", "--preset", "quick", "--physics", "native", *agent, *flags.split()])
    text = " ".join(plan_of(config).warnings())
    assert bool(text) == bool(sentences)
    for sentence in sentences:
        assert sentence in text


@pytest.mark.usefixtures("programs")
def test_a_run_that_learns_nothing_says_so_before_it_starts(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """stable-baselines#754."""
    train(tiny_config(tmp_path, total_steps=20), console=quiet())
    assert "warning: This run ends after 20 environment steps, before its first gradient step" in capsys.readouterr().err
    assert untimed(tmp_path)[-1]["updates"] == 0

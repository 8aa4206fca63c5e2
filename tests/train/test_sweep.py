"""Sweeps: the search space, one sentence for every mistake, and resuming."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.runs import TINY_FLAGS
from train import sweep
from train.checkpoints import Checkpoints
from train.logs import METRICS_FILE, read_lines
from train.sweep import SWEEP_FILE, main
from train.trials import Args, make_trials, search_space

TINY = ["--env", "inverted_pendulum", *TINY_FLAGS]
RHO = ("agent.rho", "0.5", "2")


def args(tmp_path: pathlib.Path, **values: object) -> Args:
    """Arguments of a sweep in ``tmp_path``."""
    return dataclasses.replace(Args(tmp_path / "sweep"), **values)


def test_each_trial_is_named_after_what_varies(tmp_path: pathlib.Path) -> None:
    trials = make_trials(args(tmp_path, vary=(RHO, ("seed", "0", "1"))), TINY)
    assert [trial.name for trial in trials] == [
        "agent.rho=0.5,seed=0",
        "agent.rho=0.5,seed=1",
        "agent.rho=2,seed=0",
        "agent.rho=2,seed=1",
    ]
    assert [(trial.config.agent_args.rho, trial.config.seed) for trial in trials] == [(0.5, 0), (0.5, 1), (2, 0), (2, 1)]
    assert trials[0].config.run_dir == str(tmp_path / "sweep" / "agent.rho=0.5,seed=0")
    assert {trial.config.num_envs for trial in trials} == {4}


def test_switches_and_several_words_can_vary(tmp_path: pathlib.Path) -> None:
    vary = (("agent.hidden", "16 8", "32"), ("normalize_obs", "true", "false"), ("env", "hopper", "dmc/walker-run"))
    trials = make_trials(args(tmp_path, vary=vary), ["--agent", "sac"])
    assert trials[0].name == "agent.hidden=16_8,normalize-obs=true,env=hopper"
    assert trials[-1].name == "agent.hidden=32,normalize-obs=false,env=dmc-walker-run"
    values = [(trial.config.agent_args.hidden, trial.config.normalize_obs) for trial in (trials[0], trials[-1])]
    assert values == [((16, 8), True), ((32,), False)]
    assert trials[-1].config.env == "dmc/walker-run"


def test_draws_are_the_same_each_time_and_meet_the_whole_grid(tmp_path: pathlib.Path) -> None:
    sample = (
        ("agent.rho", "loguniform", 0.1, 20.0),
        ("batch-size", "integers", 8.0, 9.0),
        ("discount", "uniform", 0.1, 0.2),
    )
    random = args(tmp_path, vary=(("seed", "0", "1"),), sample=sample, num_samples=5)
    points = search_space(random, [])
    assert points == search_space(random, [])
    assert len({point["agent.rho"] for point in points}) == 5
    assert len({(point["seed"], point["agent.rho"]) for point in points}) == 10
    for point in points:
        assert 0.1 <= float(point["agent.rho"]) <= 20
        assert point["batch-size"] in ("8", "9")
        assert 0.1 <= float(point["discount"]) <= 0.2
    assert points != search_space(dataclasses.replace(random, sample_seed=1), [])


@pytest.mark.parametrize(("gpus", "preset", "physics"), [(0, "quick", "native"), (0.5, "parallel", "auto")])
def test_auto_is_what_the_trials_run_on(gpus: float, preset: str, physics: str, tmp_path: pathlib.Path) -> None:
    [trial] = make_trials(args(tmp_path, vary=(("seed", "0"),), gpus=gpus), ["--env", "hopper"])
    assert (trial.config.preset, trial.config.physics) == (preset, physics)
    chosen = args(tmp_path, vary=(("preset", "paper"),), physics="warp", gpus=1)
    [trial] = make_trials(chosen, ["--env", "hopper"])
    assert (trial.config.preset, trial.config.physics) == ("paper", "warp")


@pytest.mark.parametrize(
    ("gpus", "environment"),
    [(0, {"JAX_PLATFORMS": "cpu"}), (0.5, {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.375"}), (1, {}), (2, {})],
)
def test_a_trial_takes_no_more_of_the_gpus_than_its_share(
    gpus: float, environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    pytest.importorskip("ray")
    from train.ray_trials import _config

    chosen = args(tmp_path, vary=(("seed", "0"),), gpus=gpus)
    [trial] = make_trials(chosen, ["--env", "hopper"])
    assert _config(trial, chosen)["environment"] == environment


def test_a_trial_goes_on_with_the_engine_that_it_began_with(tmp_path: pathlib.Path) -> None:
    chosen = args(tmp_path, vary=(("seed", "0"),), gpus=1)
    [trial] = make_trials(chosen, ["--env", "hopper"])
    trial.run_dir.mkdir(parents=True)
    dataclasses.replace(trial.config, physics="warp").save(trial.run_dir)
    (chosen.sweep_dir / SWEEP_FILE).write_text(json.dumps({"trials": [{"name": trial.name, "state": "interrupted"}]}))
    sweep._take_states([trial], chosen)
    assert trial.config.physics == "warp"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "What shall vary? Give --vary"),
        (["--vary", "agent.rho"], "--vary agent.rho needs a flag of train.run and its values"),
        (["--vary", "agent.rhoo", "1"], "Unrecognized options: --agent.rhoo"),
        (["--vary", "agent.rho", "1", "high"], "Error parsing --agent.rho: could not convert string to float: 'high'"),
        (["--vary", "num-envs", "4", "0"], "--num-envs must be at least 1, not 0"),
        (["--vary", "agent", "sac", "dsace"], "unknown agent 'dsace'; did you mean dsac_e"),
        (["--vary", "seed", "0", "0"], "seed=0 is there twice"),
        (["--vary", "seed", "0", "--seed", "1"], "--seed is there twice"),
        (["--vary", "seed", "0", "--vary", "seed", "1"], "--seed is there twice"),
        (["--vary", "seed", "0", "--run-dir", "run"], "--run-dir is not for sweeps"),
        (["--vary", "run-dir", "a", "b"], "--run-dir is not for sweeps"),
        (["--vary", "seed", "0", "--num-samples", "3"], "--num-samples needs a --sample"),
        (["--sample", "agent.rho", "uniform", "0", "1", "--num-samples", "0"], "--num-samples must be at least 1, not 0"),
        (["--sample", "agent.rho", "normal", "0", "1"], "unknown distribution 'normal'; choose from: uniform"),
        (["--sample", "agent.rho", "loguniform", "0", "1"], "above 0 if loguniform"),
        (["--sample", "agent.rho", "uniform", "2", "1"], "the lower first"),
        (["--vary", "seed", "0", "--gpus", "1.5"], "--gpus must be a share of one or a whole number, not 1.5"),
        (["--vary", "seed", "0", "--grace-steps", "0"], "--grace-steps must be at least 1, not 0"),
        (["--vary", "seed", "0", "--num-envss", "4"], "Unrecognized options: --num-envss"),
    ],
)
def test_wrong_input_is_one_sentence(
    flags: list[str], sentence: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["--env", "inverted_pendulum", "--sweep-dir", str(tmp_path / "sweep"), *flags])
    except SystemExit as stop:  # tyro's own refusals
        code = stop.code  # type: ignore[assignment]
    assert code == 2
    error = capsys.readouterr().err
    assert sentence in re.sub(r"[\s│]+", " ", error)
    assert "Traceback" not in error
    assert not (tmp_path / "sweep").exists()


def test_without_ray_nothing_is_begun(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep.importlib.util, "find_spec", lambda name: None)
    assert main(["--sweep-dir", str(tmp_path / "sweep"), *TINY, "--vary", "seed", "0"]) == 2
    assert "A sweep needs Ray Tune, which is not installed: pip install '.[sweep]'" in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()


@pytest.fixture
def ended(tmp_path: pathlib.Path) -> list[str]:
    """The command of a sweep whose trials have all finished. Nothing was trained: only the files that it reads are there."""
    command = ["--sweep-dir", str(tmp_path / "sweep"), *TINY, "--vary", *RHO]
    trials = make_trials(args(tmp_path, vary=(RHO,)), TINY)
    for number, trial in enumerate(trials):
        (trial.run_dir / "checkpoints" / "160").mkdir(parents=True)
        trial.config.save(trial.run_dir)
        lines = [{"env_steps": 80}, {"env_steps": 160, "eval/return_mean": 10.0 + number}]
        (trial.run_dir / METRICS_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [{"name": trial.name, "state": "running"} for trial in trials]
    (tmp_path / "sweep" / SWEEP_FILE).write_text(json.dumps({"trials": rows}))
    return command


def test_what_has_finished_is_shown_and_not_repeated(
    ended: list[str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ended, "--resume"]) == 0
    output = capsys.readouterr().out
    assert output.index("agent.rho=2 ") < output.index("agent.rho=0.5 ")
    assert "Best: agent.rho=2. Score it with:" in output
    table = json.loads((tmp_path / "sweep" / SWEEP_FILE).read_text())
    best = str(tmp_path / "sweep" / "agent.rho=2")
    assert table["best"] == best
    assert table["trials"][0] == {
        "name": "agent.rho=2",
        "run_dir": best,
        "state": "finished",
        "env_steps": 160,
        "return_mean": 11.0,
    }


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "holds a sweep: add --resume to go on with it"),
        (["--resume", "--batch-size", "16"], "whose batch_size is 8; it cannot become 16"),
        (["--resume", "--vary", "seed", "0", "1"], "and agent.rho=0.5 is only in "),
    ],
)
def test_another_sweep_is_refused(
    ended: list[str], flags: list[str], sentence: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "sweep" / SWEEP_FILE).read_text()
    assert main([*ended, *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert (tmp_path / "sweep" / SWEEP_FILE).read_text() == before


def test_a_damaged_table_is_one_sentence(
    ended: list[str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep" / SWEEP_FILE).write_text('{"trials": 3}')
    assert main([*ended, "--resume"]) == 2
    assert f"{SWEEP_FILE} cannot be read as a sweep" in capsys.readouterr().err


def start(sweep_dir: pathlib.Path, *flags: str) -> subprocess.Popen[str]:
    """Starts a sweep in a process of its own."""
    command = [sys.executable, "-m", "train.sweep", *TINY, "--sweep-dir", str(sweep_dir), "--vary", *RHO, *flags]
    # All trials are the same program, which is compiled once.
    command += ["--compilation-cache", str(sweep_dir.parent / "compiled")]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "JAX_ENABLE_COMPILATION_CACHE": "true"}
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)


def wait_for(event: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Waits until ``event`` is true, while ``process`` lives."""
    deadline = time.monotonic() + 400
    while not event():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)


def test_where_ray_does_not_start_a_sentence_says_why(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ray = pytest.importorskip("ray")

    def init(*_: object, **__: object) -> None:
        raise Exception("The current node timed out during startup.\nSee the logs.")

    monkeypatch.setattr(ray, "init", init)
    assert main([*TINY, "--sweep-dir", str(tmp_path), "--vary", *RHO]) == 2
    assert capsys.readouterr().err == "error: Ray did not start: The current node timed out during startup.\n"


def assert_goes_on(sweep_dir: pathlib.Path) -> None:
    """Asserts that ``--resume`` ends all runs of an interrupted sweep, without a gap or a line twice."""
    run_dirs = [sweep_dir / "agent.rho=0.5", sweep_dir / "agent.rho=2"]
    total = 800 + max(step for run_dir in run_dirs for step in Checkpoints(run_dir).steps)
    process = start(sweep_dir, "--total-steps", str(total), "--resume")
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    for run_dir in run_dirs:
        assert Checkpoints(run_dir).steps[-1] == total
        steps = [line["env_steps"] for line in read_lines(run_dir / METRICS_FILE)]
        assert steps == list(range(80, total + 1, 80))
    assert {row["state"] for row in json.loads((sweep_dir / SWEEP_FILE).read_text())["trials"]} == {"finished"}


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_sweep_goes_on(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("ray")
    process = start(tmp_path, "--total-steps", "8000000")
    wait_for(lambda: len(Checkpoints(tmp_path / "agent.rho=0.5").steps) > 2, process)
    process.kill()
    process.communicate()
    assert_goes_on(tmp_path)


@pytest.mark.slow
def test_a_dead_trial_is_taken_up_again_and_ctrl_c_ends_all_in_order_and_they_go_on(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("ray")
    run_dir = tmp_path / "agent.rho=0.5"
    lock = run_dir / ".lock"
    process = start(tmp_path, "--total-steps", "8000000")
    wait_for(lambda: len(Checkpoints(run_dir).steps) > 2, process)
    reached, name = Checkpoints(run_dir).steps[-1], lock.read_text()
    os.kill(int(name.split()[1]), signal.SIGKILL)
    wait_for(lambda: lock.read_text() != name and Checkpoints(run_dir).steps[-1] > reached, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 128 + signal.SIGINT, output
    assert "Traceback" not in output
    assert "agent.rho=0.5: is resumed after RuntimeError: exit code -9" in output
    assert "Stopping, each run with a checkpoint" in output
    assert "the same command with --resume goes on" in output
    assert f"Interrupted at {Checkpoints(run_dir).steps[-1]} steps" in (run_dir / "output.log").read_text()
    assert_goes_on(tmp_path)

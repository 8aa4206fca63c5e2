"""The command line: every flag explained, every mistake one sentence and exit code 2, Ctrl-C leaves a checkpoint."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.runs import TINY_FLAGS
from train.checkpoints import Checkpoints
from train.run import main, parse


def test_the_documented_command_is_understood() -> None:
    resume, config = parse(["--env", "humanoid", "--num-envs", "4096"])
    assert (resume, config.env, config.num_envs, config.agent) == (False, "humanoid", 4096, "dsac_e")
    _, config = parse(
        ["--env=hopper", "--agent=fast_sac_era", "--env.reset-noise-scale", "0.1", "--physics.iterations", "3"]
    )
    assert (config.agent, config.env_args.reset_noise_scale, config.solver.iterations) == ("fast_sac_era", 0.1, 3)


def test_step_sizes_fall_over_the_run_that_is_asked_for() -> None:
    flags = ["--env", "hopper", "--agent", "flash_sac", "--preset", "quick", "--total_steps", "3_200", "--num-envs=8"]
    _, config = parse([*flags, "--updates-per-step", "2"])
    assert config.agent_args.decay_updates == 3200 // 8 * 2
    _, config = parse([*flags, "--agent.decay-updates", "7"])
    assert config.agent_args.decay_updates == 7


def test_help_explains_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--env", "hopper", "--help"])
    assert stop.value.code == 0
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    for flag in [
        "--env",
        "--agent",
        "--preset",
        "--seed",
        "--total-steps",
        "--physics",
        "--run-dir",
        "--resume",
        "--env.reset-noise-scale",
    ]:
        assert flag + " " in text
    for flag in ["--agent.rho", "--physics.iterations", "--num-envs", "--batch-size"]:
        assert flag + " " in text


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--env", "humanid"], "unknown env 'humanid'; did you mean humanoid"),
        (["--agent", "dsace"], "unknown agent 'dsace'; did you mean dsac_e"),
        (["--preset", "fast"], "unknown preset 'fast'"),
        (["--physics", "bullet"], "unknown physics engine 'bullet'"),
        (["--num-envs", "0"], "--num-envs must be at least 1, not 0"),
        (["--batch-size", "100000"], "--batch-size 100000 is larger than the first fill of the replay"),
        (["--replay-size", "10000000000"], "lower --replay-size to"),
        (["--replay-size", "1000000000000"], "steps of each world, and at most 2147483647 can be counted"),
        (["--env.reset-noise-scale", "-1"], "env.reset_noise_scale must not be negative"),
        (["--agent.tau", "2"], "tau must be in"),
        (["--agent", "ppo", "--agent.minibatches", "7"], "--agent.minibatches 7 must divide the"),
        (["--agent", "ppo", "--batch-size", "64"], "or all 0 for an on-policy agent, not 0, 64, 0, 0"),
        (["--agent", "td3", "--agent.rho", "3"], "td3 has nothing that --agent.rho could set; agents that have it: dsac_e"),
        (["--agent", "fast_td3", "--agent.value-range", "5", "-5"], "--agent.value-range must be an increasing pair"),
        (["--agent.rho", "-2"], "rho -2.0 asks for 2.0 nats per action dimension, and actions in [-1, 1] have at most"),
        (["--physics.iterations", "0"], "physics.iterations must be at least 1"),
        (["--resume"], "--resume needs --run-dir"),
        (["--resume", "--run-dir", "{tmp}/empty"], "is not a run directory"),
        (["--run-dir", "/proc/run"], "cannot be written"),
    ],
)
def test_wrong_input_is_one_sentence(
    args: list[str], sentence: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [arg.format(tmp=tmp_path) for arg in args]
    try:
        code = main(args)
    except SystemExit as stop:  # tyro's own refusals
        code = stop.code  # type: ignore[assignment]
    assert code == 2
    error = capsys.readouterr().err
    assert sentence in re.sub(r"[\s│]+", " ", error)
    assert "Traceback" not in error


@pytest.mark.parametrize("args", [["--nonsense"], ["--num-envs", "many"], ["--env.gravity", "1"]])
def test_wrong_flags_exit_with_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_interruption_leaves_a_checkpoint_and_says_how_to_resume(tmp_path: pathlib.Path) -> None:
    run_dir = tmp_path / "run"
    args = ["--env", "inverted_pendulum", *TINY_FLAGS, "--total-steps", "80000000", "--run-dir", str(run_dir)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "train.run", *args], stdout=subprocess.PIPE, text=True, env=environment
    )
    metrics = run_dir / "metrics.jsonl"
    deadline = time.monotonic() + 240
    while not (metrics.exists() and metrics.read_text().count("\n") > 2):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert f"python -m train.run --run-dir {run_dir} --resume" in re.sub(r"\s+", " ", output)
    [*_, step] = Checkpoints(run_dir).steps
    assert f"Interrupted at {step} steps" in output

    # The printed command, with a length added, goes on from there.
    code = main(["--run-dir", str(run_dir), "--resume", "--total-steps", str(step + 160)])
    assert code == 0
    assert Checkpoints(run_dir).steps[-1] == step + 160

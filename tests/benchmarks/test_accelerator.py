"""The script for the day a card is there, on a CPU: it is stopped, killed and called again, and steps of it crash."""

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from benchmarks.accelerator import __main__ as accelerator
from benchmarks.accelerator import measurements, runner
from benchmarks.accelerator import steps as plans
from benchmarks.accelerator.predicted import compared
from benchmarks.accelerator.steps import FULL, SHORT, Step
from benchmarks.accelerator.wheels import missing_wheels
from benchmarks.processes import ROOT, locked
from benchmarks.report import environment, read_sections
from envs.command import Interrupted, UserError, run_command
from train.checkpoints import Checkpoints
from train.interrupt import STOP_SIGNALS
from train.logs import METRICS_FILE, read_lines

PROGRAM = """
import json, sys
from benchmarks.accelerator import __main__ as accelerator, runner, steps
from envs.command import run_command
from tests.benchmarks.test_accelerator import quick_machine, training_step
runner.MACHINE = quick_machine()
steps.SHORT = (training_step(total_steps=400_000),)
sys.exit(run_command(accelerator.Args, accelerator.main, "program"))
"""
"""The script in a process of its own, to be killed."""


def step(name: str, function: str = "builtins:dict", **options: Any) -> Step:
    """A step that needs neither JAX nor time; by default its options are its figures."""
    return Step(name, "is a test", 0.5, function, options)


def training_step(total_steps: int) -> Step:
    return dataclasses.replace(SHORT[0], options={**SHORT[0].options, "total_steps": total_steps, "agent": "sac:hidden=[8]"})


def quick_machine() -> Step:
    return step("machine", environment=environment(), platform="cpu")


Start = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def start(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Makes these steps in the short form; returns the row of each."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    monkeypatch.setattr(runner, "MACHINE", quick_machine())

    def started(*steps: Step, **args: Any) -> dict[str, dict[str, Any]]:
        monkeypatch.setattr(plans, "SHORT", steps)
        accelerator.main(accelerator.Args(short=True, work_dir=tmp_path, **args))
        return rows(tmp_path)

    yield started
    for number, handler in handlers.items():
        signal.signal(number, handler)


def rows(work_dir: pathlib.Path) -> dict[str, dict[str, Any]]:
    return {name: section["rows"][0] for name, section in read_sections(work_dir / "figures.json").items()}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> list[str]:
    """Names of the steps in the order in which they are made. Each is in the file as soon as it is made."""
    names: list[str] = []
    make = runner.Runner._make

    def spy(self: runner.Runner, step: Step) -> None:
        names.append(step.name)
        before = rows(tmp_path)
        make(self, step)
        assert rows(tmp_path)[step.name] != before.get(step.name)

    monkeypatch.setattr(runner.Runner, "_make", spy)
    return names


BROKEN = (
    step("crash", "ctypes:string_at", ptr=0),
    step("no engine", "benchmarks.accelerator.measurements:physics", task="x", engine="mjx", num_envs=1, seconds=1),
    step("no module", "no_such_module:f"),
    step("leaves", "os:_exit", status=3),
)


def test_steps_that_crash_are_recorded_and_the_others_go_on_and_nothing_is_done_twice(start: Start, made: list[str]) -> None:
    steps = (step("first", updates=3), *BROKEN, step("last", updates=4))
    found = start(*steps)
    assert made == [one.name for one in steps]
    assert [found[one.name]["state"] for one in steps] == ["done", *["failed"] * 4, "done"]
    assert found["first"]["figures"] == {"updates": 3}
    assert found["crash"]["error"].startswith("SIGSEGV, ")
    assert found["no engine"]["error"].startswith("unknown env 'x'")
    assert found["no module"]["error"] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert found["leaves"]["error"] == "exit code 3, no output"

    made.clear()
    assert start(*steps) == found
    assert made == []
    start(*steps, retry=True)
    assert sorted(made) == sorted(one.name for one in BROKEN)


def test_only_named_steps_are_made(start: Start, made: list[str]) -> None:
    start(step("a 1"), step("b"), step("a 2"), steps=("a",))
    assert made == ["a 1", "a 2"]


def test_a_measurement_that_hangs_is_ended_with_all_that_it_started(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(runner, "LEAST_S", 8.0)
    monkeypatch.setattr(runner, "PATIENCE", 0.0)
    pid = tmp_path / "pid"
    hangs = step("hangs", "subprocess:check_call", args=["sh", "-c", f"trap : TERM; echo $$ > {pid}; sleep 600; sleep 600"])
    found = start(hangs, step("last"))
    assert (found["hangs"]["state"], found["last"]["state"]) == ("failed", "done")
    assert found["hangs"]["error"].startswith("It took longer than")
    number, end = int(pid.read_text()), time.monotonic() + 10
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_jax_that_does_not_start_is_one_sentence(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LEAST_S", 0.5)
    monkeypatch.setattr(runner, "MACHINE", step("machine", "subprocess:check_call", args=["sleep", "600"]))
    with pytest.raises(UserError, match="JAX does not start here within"):
        start(step("never"))


def test_trainings_take_turns_while_the_time_lasts(start: Start, made: list[str]) -> None:
    long, other = (dataclasses.replace(step(name, complete=False), trains=True, minutes=0.001) for name in ("long", "other"))
    found = start(long, other, minutes=0.05)
    assert made[:2] == ["long", "other"]
    assert len(made) > 2
    assert found["long"]["state"] == found["other"]["state"] == "stopped"
    assert 0 < found["other"]["spent_s"] < 4


def test_a_measurement_that_does_not_fit_into_the_time_is_left(start: Start, made: list[str]) -> None:
    long, short = (dataclasses.replace(step(name), minutes=minutes) for name, minutes in (("long", 9.0), ("short", 0.01)))
    start(long, short, minutes=1.0)
    assert made == ["short"]


def test_ctrl_c_stops_the_step_under_way_which_is_made_again(
    start: Start, made: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_child = runner.run_child

    def interrupted(command: list[str], *args: Any, **kwargs: Any) -> int:
        if '"sleep"' in command[-1]:
            signal.raise_signal(signal.SIGINT)
        return run_child(command, *args, **kwargs)

    monkeypatch.setattr(runner, "run_child", interrupted)
    with pytest.raises(Interrupted):
        start(step("first"), step("slow", "subprocess:check_call", args=["sleep", "600"]), step("last"))
    assert {name: row["state"] for name, row in rows(tmp_path).items()} == {
        "machine": "done",
        "first": "done",
        "slow": "stopped",
    }
    made.clear()
    start(step("first"), step("slow"), step("last"))
    assert made == ["slow", "last"]


@pytest.mark.long  # tests/reliability/test_kill.py kills runs in every run of the tests
@pytest.mark.slow
def test_a_training_goes_on_from_its_checkpoint_after_kill_9(start: Start, made: list[str], tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "--short", "--work-dir", str(tmp_path)]
    run_dir = tmp_path / "smoke-native" / "run"
    with subprocess.Popen(command, cwd=ROOT) as process:
        while process.poll() is None and len(read_lines(run_dir / METRICS_FILE)) < 3:
            time.sleep(0.05)
        process.kill()
    # The training notices that nobody waits for it, and writes a checkpoint.
    with locked(tmp_path, patience_s=60):
        pass
    stopped = Checkpoints(run_dir).steps[-1]
    assert stopped >= 3 * 80
    total = stopped // 80 * 80 + 160
    row = start(training_step(total))["smoke native"]
    assert (row["state"], row["figures"]["complete"], row["figures"]["env_steps"]) == ("done", True, total)
    assert [line["env_steps"] for line in read_lines(run_dir / METRICS_FILE)] == list(range(80, total + 80, 80))
    assert "begins again" not in (tmp_path / "smoke-native" / "output.txt").read_text()
    assert row["figures"]["best_return"] > 0


@pytest.mark.parametrize("steps", [FULL, SHORT])
def test_every_step_has_a_name_of_its_own_and_every_run_is_possible(steps: tuple[Step, ...]) -> None:
    assert len({one.name for one in steps}) == len(steps)
    for one in steps:
        if one.trains:
            measurements.run_config(run_dir="x", checkpoint_replay=False, **one.options)


def test_the_first_call_of_nine_minutes_tries_every_engine_and_trains() -> None:
    first: list[Step] = []
    for one in FULL:
        if sum(other.minutes for other in (*first, one)) > 9:
            break
        first.append(one)
    assert {one.options["physics"] for one in first if one.name.startswith("smoke")} == {"native", "mjx", "warp"}
    assert "humanoid 4096 dsac_e" in [one.name for one in first]


def test_the_measurements_of_the_short_form() -> None:
    found = {one.name: one for one in SHORT}
    rate = measurements.physics(**found["physics native 2"].options)
    assert rate["physics_steps_per_s"] == 2 * rate["env_steps_per_s"] > 0  # two substeps
    assert rate["ms_per_vector_step"] == pytest.approx(2e3 / rate["env_steps_per_s"])
    rate = measurements.updates(**found["updates bfloat16 8"].options)
    assert rate["updates_per_s"] > 0
    assert rate["ms_per_update"] == pytest.approx(1e3 / rate["updates_per_s"])
    assert json.dumps(rate)
    assert "jax" in measurements.machine()["packages"]


PREDICTED = {
    "program": {
        "arguments": {
            **dict.fromkeys(("num_envs", "batch_size", "updates_per_step", "matmul_precision")),
            "preset": "parallel",
            "physics": "mjx",
            "card": "H100",
        },
        "rows": [{"task": "humanoid", "agent": "dsac_e", "nodes": 200, "floor_ms": {"launches": 0.4, "memory": 0.1}}],
    }
}
SAME = {"task": "humanoid", "agent": "dsac_e"}


@pytest.mark.parametrize(
    ("program", "figures", "ms", "others"),
    [
        # Two updates in a turn, since the policy moves in every second.
        ("updates", {"ms_per_update": 1.0, "batch_size": 8192, "precision": "float32", **SAME}, 2.0, {"batch_size": 256}),
        (
            "update",
            {"ms_per_update": 1.0, "batch_size": 8192, "precision": "float32", **SAME},
            1.0,
            {"precision": "bfloat16"},
        ),
        ("physics", {"ms_per_vector_step": 3.0, "num_envs": 4096, "engine": "mjx", **SAME}, 3.0, {"engine": "warp"}),
        (
            "iteration",
            {"ms_per_iteration": 4.0, "num_envs": 4096, "engine": "mjx", "batch_size": 8192, "num_seeds": 1, **SAME},
            4.0,
            {"num_seeds": 5},
        ),
    ],
)
def test_predicted_stands_beside_what_was_measured_of_the_same_program(
    program: str, figures: dict[str, Any], ms: float, others: dict[str, Any]
) -> None:
    predicted = json.loads(json.dumps(PREDICTED))
    predicted["program"]["rows"][0]["program"] = program
    [row] = compared(predicted, [{"step": "it", "figures": figures}, {"step": "failed", "figures": None}])
    assert (row["step"], row["nodes"], row["floor_ms"], row["measured_ms"]) == ("it", 200, 0.4, ms)
    assert row["ratio"] == pytest.approx(ms / 0.4)
    assert row["us_per_node"] == pytest.approx(5 * ms)
    assert compared(predicted, [{"step": "another", "figures": figures | others}]) == []


def test_what_is_not_installed_is_named_with_its_pin(tmp_path: pathlib.Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["pytest", "rich>=1"]\n'
        '[project.optional-dependencies]\nfast = ["Quick_Engine[gpu]>=1,<3"]\nother = ["elsewhere"]\n'
    )
    (tmp_path / "constraints.txt").write_text('# pins\nquick-engine==2.1; python_version >= "3"\nrich==0.5\nnever==1\n')
    assert missing_wheels((), root=tmp_path) == []
    assert missing_wheels(("fast",), root=tmp_path) == ["quick-engine[gpu]==2.1"]
    # pytest needs others, of which one is missing. What rich needs is not known where it is not installed.
    here = {"pytest": "9", "rich": "0.1", "iniconfig": "99", "packaging": "99", "pygments": "99"}
    pluggy, rich = missing_wheels((), here, tmp_path)
    assert pluggy.startswith("pluggy<2")
    assert rich == "rich==0.5"
    with pytest.raises(UserError, match="unknown extra 'fst'; did you mean fast"):
        missing_wheels(("fst",), root=tmp_path)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--steps", "smok", "phisics"], "error: no step's name begins with 'phisics'; did you mean physics"),
        (["--steps", "smoke"], "error: JAX finds no card here"),
    ],
)
def test_a_mistake_is_one_sentence(
    args: list[str], told: str, start: Start, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [*args, "--work-dir", str(tmp_path / "work")]
    assert run_command(accelerator.Args, accelerator.main, "program", args) == 2
    assert capsys.readouterr().err.startswith(told)
    assert not (tmp_path / "work" / "figures.json").exists()


@pytest.mark.slow
@pytest.mark.long
def test_the_whole_short_form(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("warp")
    pytest.importorskip("mujoco_playground")
    command = [sys.executable, "-m", "benchmarks.accelerator", "--short", "--work-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows(tmp_path)
    assert {name: row["state"] for name, row in found.items()} == dict.fromkeys(
        ["machine", *(x.name for x in SHORT)], "done"
    )
    assert found["exactness"]["figures"]["different_twice"] == found["exactness"]["figures"]["different_resumed"] == []
    assert len(found["humanoid 4096 dsac_e"]["figures"]["curve"][-1]["returns"]) == 2

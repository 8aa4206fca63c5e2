"""``eval.export``: files of policies, what they say, and what is refused."""

import dataclasses
import json
import pathlib
import subprocess
import sys
from typing import Any

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import envs
from envs.command import UserError
from eval import export
from eval.graph import Step
from eval.policy_metadata import describe, describe_actuators
from eval.restore import Restored, restore
from eval.score import play
from mjx_tecrl import AGENTS
from tests.eval.test_graph import random_like
from tests.runs import tiny_config
from train.model_file import MODEL_FILE, save_model
from train.problem import make_problem

ROOT = pathlib.Path(__file__).parents[2]


def untrained(env: str = "inverted_pendulum", agent: str = "dsac_e", args: Any = None, **values: Any) -> Restored:
    """A policy with random parameters and a random normaliser."""
    args = envs.task(env).Args() if args is None else args
    problem = make_problem(dataclasses.replace(tiny_config(agent=agent), env=env, env_args=args, **values))
    actor = problem.actor_shapes()
    normalizer = dataclasses.replace(random_like(actor.normalizer, "squares"), count=jnp.array(2.0))
    return Restored(problem, dataclasses.replace(actor, agent=random_like(actor.agent), normalizer=normalizer), 40)


def written(restored: Restored, out: pathlib.Path) -> dict[str, float]:
    """Writes a file as the command does; returns the errors."""
    graph = export.policy_graph(restored)
    contents = export.file_contents(out, graph, describe(restored, out.parent))
    errors = export.compare(restored, export.evaluators(out, graph, contents))
    out.write_bytes(contents)
    return errors


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent(agent: str, tmp_path: pathlib.Path) -> None:
    for suffix in ("npz", "onnx"):
        errors = written(untrained(agent=agent), tmp_path / f"policy.{suffix}")
        assert set(errors) == {"action", "ctrl"}
        assert max(errors.values()) < 2e-5  # a control is up to 3


@pytest.mark.parametrize("suffix", ["onnx", "npz"])
def test_the_command(
    suffix: str, tiny_run: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"policy.{suffix}"
    assert export.main([str(tiny_run), "--out", str(out), "--step", "240"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"wrote {out}: obs [batch, 4] -> action [batch, 1], ctrl [batch, 1]"
    assert second.startswith("largest error against the policy, on 72 random observations: ")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    if suffix == "npz":
        graph, about = export.read_npz(out.read_bytes())
        assert about["steps"] == 240
        obs = np.array([[0.1, -0.05, 0.3, 0.2]], np.float32)
        assert graph(obs)["action"] == pytest.approx(np.asarray(restore(tiny_run, 240).policy(obs)), abs=1e-6)
        assert graph(obs)["ctrl"] == pytest.approx(3 * graph(obs)["action"])
    else:
        assert b'"task": "inverted_pendulum"' in out.read_bytes()


def test_what_a_file_says(tiny_run: pathlib.Path) -> None:
    about = json.loads(json.dumps(describe(restore(tiny_run, 240), tiny_run)))
    assert (about["task"], about["agent"], about["run"], about["steps"]) == ("inverted_pendulum", "dsac_e", "tiny", 240)
    assert about["score"]["steps"] == 160
    assert about["score"]["return_mean"] > 0
    assert (about["control_dt"], about["physics_dt"]) == (pytest.approx(0.04), pytest.approx(0.02))
    assert about["observation"] == [
        {"name": "qpos", "size": 2, "exact": True},
        {"name": "qvel", "size": 2, "exact": True},
    ]
    [actuator] = about["actuators"]
    assert (actuator["name"], actuator["joint"], actuator["gear"]) == ("slide", "slider", 100.0)
    assert (actuator["limits"], actuator["kp"]) == ([[-3.0, 3.0]], None)
    assert [joint["name"] for joint in about["joints"]] == ["slider", "hinge"]
    assert (about["default_qpos"], about["default_ctrl"], about["randomization"]) == ([0.0, 0.0], [0.0], {})
    assert about["commit"] is None or len(about["commit"]) == 40


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--out", "policy.pt"], "policy.pt must end in .onnx or .npz"),
        (["--out", "{tmp}/nowhere/policy.onnx"], "is not a folder"),
        (["--step", "1", "--out", "{tmp}/policy.onnx"], "There is no checkpoint of step 1"),
    ],
)
def test_mistakes_are_one_sentence(
    args: list[str], sentence: str, tiny_run: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([str(tiny_run), *(arg.format(tmp=tmp_path) for arg in args)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["onnx", "npz"])
def test_a_wrong_file_is_not_left(
    suffix: str,
    tiny_run: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = export.policy_graph

    def wrong(restored: Restored) -> Any:
        graph = right(restored)
        return dataclasses.replace(graph, constants={name: 1.01 * value for name, value in graph.constants.items()})

    monkeypatch.setattr(export, "policy_graph", wrong)
    assert export.main([str(tiny_run), "--out", str(tmp_path / f"policy.{suffix}")]) == 2
    assert "No file was written: by NumPy, " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


class Gripper(envs.MujocoTask):
    """One actuator, whose force is the cube of the action."""

    name, xml, frame_skip = "gripper", "inverted_pendulum.xml", 2

    def observe(self, physics: Any, derived: Any, info: Any) -> Any:
        return {"state": jnp.append(jnp.clip(physics.qvel, -1, 1), physics.qpos[::-1]), "privileged": physics.qpos}

    def score(self, physics: Any, derived: Any, ctrl: Any, info: Any) -> Any:
        return {"upright": physics.qpos[1] ** 2}, False

    def to_ctrl(self, action: Any) -> Any:
        return 3 * action**3


class Sorted(Gripper):
    """Its controls cannot be exported."""

    def to_ctrl(self, action: Any) -> Any:
        return jnp.sort(action)


class OnMocap(Gripper):
    """It moves a mocap body."""

    mocap_actions = 3

    def to_ctrl(self, action: Any) -> Any:
        return action[:1]


def of_class(kind: type[envs.MujocoTask]) -> Restored:
    """An untrained policy on a task of one's own."""
    return untrained(f"{__file__}:{kind.__name__}")


def test_a_task_of_ones_own_is_exported_as_it_scales_its_actions(tmp_path: pathlib.Path) -> None:
    restored = of_class(Gripper)
    assert max(written(restored, tmp_path / "policy.npz").values()) < 1e-5
    graph, about = export.read_npz((tmp_path / "policy.npz").read_bytes())
    got = graph(np.random.default_rng(0).normal(size=(5, 4)))
    np.testing.assert_allclose(got["ctrl"], 3 * got["action"] ** 3, rtol=1e-5)
    assert about["task"] == "Gripper"
    assert [entry["name"] for entry in about["observation"]] == ["qvel", "qpos[1:2]", "qpos[0:1]"]
    assert [entry["exact"] for entry in about["observation"]] == [False, True, True]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [(Sorted, "^The policy cannot be exported: .*JAX's sort"), (OnMocap, "a part of its actions moves mocap bodies")],
)
def test_what_cannot_be_exported_is_one_sentence(kind: type[envs.MujocoTask], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        export.policy_graph(of_class(kind))


def test_the_loop_of_the_page_returns_what_eval_does(tmp_path: pathlib.Path) -> None:
    restored = untrained("swimmer", args=dataclasses.replace(envs.task("swimmer").Args(), reset_noise_scale=0.0))
    save_model(tmp_path, restored.problem.env)
    written(restored, tmp_path / "policy.npz")
    script = [str(ROOT / "examples" / "on_the_robot.py"), "policy.npz", MODEL_FILE]
    others = (
        "import sys, runpy; sys.modules |= dict.fromkeys(('jax', 'envs', 'eval', 'mjx_tecrl')); sys.argv = sys.argv[1:]; "
    )
    command = [sys.executable, "-c", others + "runpy.run_path(sys.argv[0])", *script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [expected] = play(restored, 1).returns
    assert abs(expected) > 1
    assert float(done.stdout) == pytest.approx(expected, rel=1e-3)


def test_the_page_shows_the_whole_loop() -> None:
    page = (ROOT / "docs" / "on_the_robot.md").read_text()
    assert "```{literalinclude} ../examples/on_the_robot.py\n:language: python\n```" in page


def test_steps_are_read_as_they_were_written(tmp_path: pathlib.Path) -> None:
    restored = untrained()
    written(restored, tmp_path / "policy.npz")
    graph, _ = export.read_npz((tmp_path / "policy.npz").read_bytes())
    assert [dataclasses.astuple(step) for step in graph.steps] == [
        dataclasses.astuple(Step(step.output, step.function, list(step.inputs)))
        for step in export.policy_graph(restored).steps
    ]


def test_gains_are_named_by_joint() -> None:
    model = mujoco.MjModel.from_xml_string("""
      <mujoco><compiler angle="radian"/>
      <worldbody><body><joint name="elbow" range="-1 1" limited="true"/><geom size=".1"/></body></worldbody>
      <actuator><motor name="free" joint="elbow"/><position joint="elbow" kp="20" kv="3"/></actuator></mujoco>""")
    motor, servo = describe_actuators(model)
    assert (motor["name"], motor["limits"], motor["kp"]) == ("free", None, None)
    assert (servo["joint"], servo["kp"], servo["kd"], servo["limits"]) == ("elbow", 20.0, 3.0, [[-1.0, 1.0]])

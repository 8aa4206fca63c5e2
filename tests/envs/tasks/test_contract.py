"""Mistakes in a task of one's own: each is one sentence that names the method."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.engines import PhysicsState


class Lift(envs.MujocoTask):
    """The smallest class that is a task: no arguments of its own, and no start of its own."""

    name = "lift"
    xml = "inverted_pendulum.xml"
    frame_skip = 2

    def observe(self, physics: PhysicsState, derived: dict, info: dict) -> jax.Array:
        return physics.qpos

    def score(self, physics: PhysicsState, derived: dict, ctrl: jax.Array, info: dict) -> tuple[dict[str, jax.Array], Any]:
        return {"height": physics.qpos[0]}, physics.qpos[1] > 1


def make(**attributes: Any) -> envs.MujocoTask:
    return type("Lift", (Lift,), attributes)(physics="native")


def test_the_smallest_task_starts_in_the_reference_pose() -> None:
    task = make()
    state = jax.jit(task.reset)(jax.random.key(0))
    np.testing.assert_array_equal(state.physics.qpos, task.model.qpos0)
    assert (task.obs_size, task.args) == (2, envs.TaskArgs())


def test_numbers_may_be_pythons_and_start_states_numpys() -> None:
    task = make(
        score=lambda self, physics, derived, ctrl, info: ({"alive": 1.5}, False),
        reset_pose=lambda self, key: (np.array([0.25, 0.5]), np.zeros(2), {}),
    )
    state = jax.jit(task.reset)(jax.random.key(0))
    after = jax.jit(task.step)(state, jnp.zeros(1))
    assert after.reward == 1.5
    assert (after.terminated.dtype, after.metrics["alive"].dtype) == (jnp.bool_, jnp.float32)
    np.testing.assert_array_equal(state.physics.qpos, [0.25, 0.5])
    assert jax.tree.map(jnp.result_type, state.physics) == jax.tree.map(jnp.result_type, after.physics)


OBSERVE: dict[str, tuple[Callable[[PhysicsState], Any], str]] = {
    "a scalar": (lambda p: p.qpos[0], r"must return .*one axis, \[obs_size\], not an array float32\[\]"),
    "two axes": (lambda p: jnp.outer(p.qpos, p.qpos), r"not an array float32\[2, 2\]"),
    "a list": (lambda p: [p.qpos[0]], "not a list"),
    "names of its own": (lambda p: {"angle": p.qpos}, r"'state' and 'privileged', not a dict of \['angle'\]"),
    "whole numbers": (lambda p: jnp.zeros(2, int), r"must return a float32 array .* not an array int32\[2\]"),
    "NumPy": (lambda p: np.zeros(2), r"of JAX's .* not an array float64\[2\] of NumPy's"),
    "nothing": (lambda p: None, "not None"),
    "if": (
        lambda p: p.qpos if p.qpos[0] > 0 else -p.qpos,
        r"fails in line \d+ of .*test_contract.py: .*jnp.where in place of if",
    ),
    "numpy's view": (lambda p: np.asarray(p.qpos), r"jax\.numpy in place of numpy"),
    "a field that is not there": (lambda p: p.qacc, r"fails in line \d+ of .*AttributeError: .*'qacc'"),
}

SCORE: dict[str, tuple[Callable[[PhysicsState], Any], str]] = {
    "no flag": (lambda p: {"height": p.qpos[0]}, r"two things, the terms .*, not a dict"),
    "a number": (lambda p: (p.qpos[0], False), r"as a dict of its terms by name, .* not an array float32\[\]"),
    "no terms": (lambda p: ({}, False), "as a dict of its terms by name"),
    "a vector": (
        lambda p: ({"height": p.qpos}, False),
        r"scalars as terms of the reward; 'height' is an array float32\[2\]",
    ),
    "a flag with an axis": (lambda p: ({"height": p.qpos[0]}, p.qpos[:1] > 1), r"one bool .*, not an array bool\[1\]"),
    "a float as flag": (lambda p: ({"height": p.qpos[0]}, 0.0), r"one bool .*, not 0\.0"),
}


@pytest.mark.parametrize("mistake", OBSERVE)
def test_a_wrong_observation_is_one_sentence(mistake: str) -> None:
    observe, message = OBSERVE[mistake]
    with pytest.raises(ValueError, match=f"^Lift.observe .*{message}") as refused:
        make(observe=lambda self, physics, derived, info: observe(physics))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("mistake", SCORE)
def test_a_wrong_score_is_one_sentence(mistake: str) -> None:
    score, message = SCORE[mistake]
    with pytest.raises(ValueError, match=f"^Lift.score must return .*{message}"):
        make(score=lambda self, physics, derived, ctrl, info: score(physics))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (lambda task: (np.zeros(2), np.zeros(2)), "^Lift.reset_pose must return three things, .* not a tuple of 2"),
        (lambda task: (np.zeros(7), np.zeros(2), {}), r"positions \[nq\] of shape \[2\], not an array float64\[7\]"),
        (lambda task: (np.zeros(2), np.zeros(1), {}), r"velocities \[nv\] of shape \[2\], not an array float64\[1\]"),
        (lambda task: (np.zeros(2), np.zeros(2), None), "a dict as its third, which may be empty, not None"),
        (lambda task: (np.zeros(2), np.zeros(2), {"model": {"body_poss": 0}}), r"no such field|mjModel\.body_poss"),
        (lambda task: (task.model.key("hom").qpos, np.zeros(2), {}), r"^Lift.reset_pose fails .*KeyError: .*'hom'"),
    ],
)
def test_a_wrong_start_is_one_sentence(start: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(reset_pose=lambda self, key: start(self))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"reads": "xpos"}, r"Lift\.reads must be a tuple of names, such as \('xpos',\), not 'xpos'"),
        ({"reads": ("xposs",)}, r"cannot read mjData\.xposs"),
        ({"remember": lambda self, physics, derived: 1}, "Lift.remember must return a dict, which may be empty, not 1"),
        ({"Args": dict}, r"Lift\.Args must be a dataclass derived from envs\.TaskArgs, not \{\}"),
    ],
)
def test_what_a_class_states_is_checked(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**attributes)


@pytest.mark.parametrize("attribute", ["name", "xml", "frame_skip"])
def test_a_missing_attribute_is_named(attribute: str) -> None:
    attributes = {name: getattr(Lift, name) for name in ("name", "xml", "frame_skip") if name != attribute}
    with pytest.raises(ValueError, match=f"^Lift lacks the class attribute {attribute}: "):
        type("Lift", (envs.MujocoTask,), attributes)(physics="native")


@pytest.mark.parametrize("method", ["observe", "score"])
def test_a_missing_method_is_named(method: str) -> None:
    attributes = {name: vars(Lift)[name] for name in ("name", "xml", "frame_skip", "observe", "score") if name != method}
    with pytest.raises(ValueError, match=f"^Lift lacks the method {method}"):
        type("Lift", (envs.MujocoTask,), attributes)(physics="native")


def test_an_action_of_another_shape_is_refused() -> None:
    """A single number would otherwise reach every actuator."""
    task = envs.make("hopper", physics="native")
    state = jax.eval_shape(task.reset, jax.random.key(0))
    for shape in ((), (1,), (4,), (1, 3)):
        with pytest.raises(ValueError, match=r"an action of hopper must have the shape \[3\], not \["):
            jax.eval_shape(task.step, state, jnp.zeros(shape))


def test_the_file_of_a_failing_method_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "robots_of_mine.py").write_text(
        "import envs\n\n\nclass Robot(envs.MujocoTask):\n    name, xml, frame_skip = 'robot', 'hopper.xml', 1\n\n"
        "    def observe(self, physics, derived, info):\n        return derived['xpos']\n\n"
        "    def score(self, *args):\n        return {'still': 0.0}, False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import robots_of_mine

    with pytest.raises(
        ValueError, match=rf"Robot.observe fails in line 8 of {tmp_path}/robots_of_mine.py: KeyError: 'xpos'"
    ):
        robots_of_mine.Robot(physics="native")

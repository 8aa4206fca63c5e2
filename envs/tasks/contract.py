"""What a task's class must have and its methods must return: a mistake in it becomes one sentence.

The methods are checked while they are traced, so that a check costs nothing in a step.
"""

import dataclasses
import inspect
import traceback
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs.tasks.task_args import TaskArgs


class TaskError(ValueError):
    """A mistake in a task's class. Its text names the class or the method, and what is expected."""


_NEEDED = {
    "name": ("the task's name", None),
    "xml": ("the model file, unless it overrides load", "load"),
    "frame_skip": ("physics steps per environment step", "substeps"),
}
"""Class attributes without a default: what they are, and the only method that reads them."""

_TRACED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where Python or NumPy wants to see a value that is only known when the compiled program runs."""


def check_stated(kind: type) -> None:
    """Checks what is needed of a task's class before it is made: its name, and the defaults of its arguments.

    Raises:
      TaskError: there is no name, or the arguments are no dataclass with a default for each field.
    """
    if not isinstance(getattr(kind, "name", None), str):
        raise TaskError(f"{kind.__name__} lacks the class attribute name: {_NEEDED['name'][0]}")
    args: Any = getattr(kind, "Args", None)
    if not (isinstance(args, type) and dataclasses.is_dataclass(args)):
        raise TaskError(f"{kind.__name__}.Args must be a dataclass derived from envs.TaskArgs, not {args!r}")
    try:
        args()
    except TypeError as error:
        raise TaskError(f"{kind.__name__}.Args must have a default for each field: {error}") from error


def check_class(task: Any, base: type) -> None:
    """Checks what a task's class states, before its model is loaded.

    Args:
      task: a `MujocoTask`, of which nothing is set but its arguments.
      base: `MujocoTask`. What only one of its methods reads is not needed where the class overrides that method.

    Raises:
      TaskError: an attribute is missing, or of another type.
    """
    kind = type(task)
    readers = {reader for _, reader in _NEEDED.values() if reader}
    own = {method for method in readers if getattr(kind, method) is not getattr(base, method)}
    for attribute, (meaning, reader) in _NEEDED.items():
        if not hasattr(kind, attribute) and reader not in own:
            raise TaskError(f"{kind.__name__} lacks the class attribute {attribute}: {meaning}")
    if "load" not in own and not isinstance(task.args, TaskArgs):
        raise TaskError(f"{kind.__name__}.Args must be a dataclass derived from envs.TaskArgs, not {task.args!r}")
    if isinstance(task.reads, str) or not all(isinstance(field, str) for field in task.reads):
        raise TaskError(f"{kind.__name__}.reads must be a tuple of names, such as ('xpos',), not {task.reads!r}")


def ask(task: Any, method: str, *args: Any) -> Any:
    """Calls a method of a task's, and returns what it returns, with numbers in place as arrays.

    Args:
      task: a `MujocoTask`.
      method: ``reset_pose``, ``remember``, ``observe``, ``score``, ``to_ctrl`` or ``move_mocap``.
      *args: its arguments.

    Raises:
      TaskError: the method fails, or returns something else than it should.
    """
    try:
        result = getattr(task, method)(*args)
    except TaskError:
        raise
    except NotImplementedError as error:
        raise TaskError(f"{type(task).__name__} lacks the method {method}") from error
    except Exception as error:
        raise TaskError(_failure(task, method, error)) from error
    wrong, result = _CHECKS[method](task, result)
    if wrong:
        raise TaskError(f"{type(task).__name__}.{method} must return {wrong}")
    return result


Checked = tuple[str, Any]
"""What is wrong, in words ("" if nothing is), and the result with numbers in place as arrays."""


def _check_pose(task: Any, result: Any) -> Checked:
    if not isinstance(result, tuple) or len(result) != 3:
        return f"three things, positions, velocities and a dict, not {_describe(result)}", None
    qpos, qvel, info = result
    for what, value, size in (("positions [nq]", qpos, task.model.nq), ("velocities [nv]", qvel, task.model.nv)):
        if np.shape(value) != (size,):
            return f"{what} of shape [{size}], not {_describe(value)}", None
    if not isinstance(info, dict):
        return f"a dict as its third, which may be empty, not {_describe(info)}", None
    return "", (jnp.asarray(qpos, jnp.float32), jnp.asarray(qvel, jnp.float32), info)


def _check_memory(task: Any, result: Any) -> Checked:
    return "" if isinstance(result, dict) else f"a dict, which may be empty, not {_describe(result)}", result


def _check_obs(task: Any, result: Any) -> Checked:
    if isinstance(result, dict):
        if not {"state"} <= result.keys() <= {"state", "privileged"}:
            return f"an array, or a dict of 'state' and 'privileged', not a dict of {sorted(map(str, result))}", None
        parts = list(result.values())
    else:
        parts = [result]
    for part in parts:
        if not isinstance(part, jax.Array) or part.ndim != 1 or part.dtype != jnp.float32:
            return f"a float32 array of JAX's with one axis, [obs_size], not {_describe(part)}", None
    return "", result


def _check_score(task: Any, result: Any) -> Checked:
    if not isinstance(result, tuple) or len(result) != 2:
        return f"two things, the terms of the reward and whether the episode terminated, not {_describe(result)}", None
    terms, terminated = result
    if not isinstance(terms, dict) or not terms:
        return f"the reward as a dict of its terms by name, such as {{'reward': ...}}, not {_describe(terms)}", None
    for name, term in terms.items():
        if np.shape(term) != () or not isinstance(name, str):
            return f"scalars as terms of the reward; {name!r} is {_describe(term)}", None
    if np.shape(terminated) != () or jnp.result_type(terminated) != jnp.bool_:
        return f"one bool that says whether the episode terminated, not {_describe(terminated)}", None
    return "", ({name: jnp.asarray(term, jnp.float32) for name, term in terms.items()}, jnp.asarray(terminated))


def _check_ctrl(task: Any, result: Any) -> Checked:
    if np.shape(result) != (task.model.nu,) or not jnp.issubdtype(jnp.result_type(result), jnp.floating):
        return f"the controls of all actuators, floats of shape [{task.model.nu}], not {_describe(result)}", None
    return "", result


def _check_mocap(task: Any, result: Any) -> Checked:
    shapes = [(task.model.nmocap, 3), (task.model.nmocap, 4)]
    if not isinstance(result, tuple) or [np.shape(part) for part in result] != shapes:
        described = ", ".join(map(_describe, result)) if isinstance(result, tuple) else _describe(result)
        return f"positions [nmocap, 3] and quaternions [nmocap, 4], not {described}", None
    return "", tuple(jnp.asarray(part, jnp.float32) for part in result)


_CHECKS: dict[str, Callable[[Any, Any], Checked]] = {
    "reset_pose": _check_pose,
    "remember": _check_memory,
    "observe": _check_obs,
    "score": _check_score,
    "to_ctrl": _check_ctrl,
    "move_mocap": _check_mocap,
}


def _failure(task: Any, method: str, error: Exception) -> str:
    """Where a method failed, and why, in one line."""
    file = inspect.getsourcefile(type(task))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" in line {lines[-1]} of {file}" if lines else ""
    if isinstance(error, _TRACED):
        why = (
            "it asks for a value that is known only when the compiled program runs; use jnp.where in place of if, and "
            "jax.numpy in place of numpy"
        )
    else:
        why = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    return f"{type(task).__name__}.{method} fails{where}: {why}"


def _describe(value: Any) -> str:
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array {value.dtype}{list(value.shape)}" + (" of NumPy's" if isinstance(value, np.ndarray) else "")
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    if isinstance(value, int | float | str | None):
        return f"{value!r}"
    return f"a {type(value).__name__}"

"""What the numbers of an observation are: found by following the task's own function from its inputs to its result."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, Literal

from envs import MujocoTask, RandomizedEnv
from envs.base import split_obs
from eval.graph import known

_MOVES = (
    "slice",
    "squeeze",
    "reshape",
    "concatenate",
    "stack",
    "broadcast_in_dim",
    "transpose",
    "expand_dims",
    "rev",
    "copy",
    "gather",
)
"""Primitives that move numbers and leave them as they are."""

_OF_EACH = ("add", "sub", "mul", "div", "max", "min", "neg", "clamp", "sin", "cos", "tanh", "exp", "square", "integer_pow")
"""Primitives that compute each number alone."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """Neighbouring numbers of an observation that have one origin.

    Attributes:
      name: which numbers of MuJoCo's they are, such as ``qpos[7:19]``; or, of numbers that the task computes from several,
        what it computes them from, such as ``from qpos, xmat``.
      size: how many numbers.
      exact: whether they are these numbers as they are. Otherwise the task changes them: it scales or clips them, say.
    """

    name: str
    size: int
    exact: bool


def observation_entries(env: MujocoTask | RandomizedEnv) -> list[Entry]:
    """The entries of what a policy observes, in their order."""
    task = env.task if isinstance(env, RandomizedEnv) else env
    info = jax.eval_shape(task.reset, jax.random.key(0)).info
    start = jax.eval_shape(lambda: task.reset_pose(jax.random.key(0))[:2])
    physics, derived = jax.eval_shape(task.engine.init, *start)
    inputs = {**{field.name: getattr(physics, field.name) for field in dataclasses.fields(physics)}, **derived, "info": info}

    def observe(inputs: dict[str, Any]) -> jax.Array:
        state = type(physics)(**{field.name: inputs[field.name] for field in dataclasses.fields(physics)})
        return split_obs(task.observe(state, {name: inputs[name] for name in derived}, inputs["info"]))[0]

    leaves = jax.tree_util.tree_flatten_with_path(inputs)[0]
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    closed = jax.make_jaxpr(observe)(inputs)
    marked = [_input(number, leaf.shape) for number, (_, leaf) in enumerate(leaves)]
    mixed: _Mixed = [frozenset()]
    [result] = _follow(closed.jaxpr, closed.consts, marked, mixed)
    return _grouped(result, mixed, names, [leaf.shape for _, leaf in leaves])


_Mixed = list[frozenset[int]]
"""Numbers of the inputs from which each computed array comes; first the empty set, which is that of constants."""


@dataclasses.dataclass(frozen=True)
class _Origin:
    """Where the numbers of an array come from.

    Attributes:
      inputs: number of the input that each comes from alone; or else ``-1 - i``, where the i-th of `_Mixed` says from which.
      places: its place in that input.
      exact: whether it is that number as it is.
    """

    inputs: np.ndarray
    places: np.ndarray
    exact: np.ndarray


def _input(number: int, shape: tuple[int, ...]) -> _Origin:
    places = np.arange(int(np.prod(shape))).reshape(shape)
    return _Origin(np.full(shape, number), places, np.ones(shape, bool))


def _computed(shape: tuple[int, ...], sources: frozenset[int], mixed: _Mixed) -> _Origin:
    mixed.append(sources)
    return _Origin(np.full(shape, -len(mixed)), np.zeros(shape, int), np.zeros(shape, bool))


def _sources(origins: list[_Origin], mixed: _Mixed) -> frozenset[int]:
    """Numbers of all inputs from which anything in some arrays comes."""
    numbers = {int(number) for origin in origins for number in np.unique(origin.inputs)}
    return frozenset[int]().union(*(mixed[-1 - number] if number < 0 else {number} for number in numbers))


def _follow(jaxpr: Jaxpr, constants: Iterable[Any], inputs: Iterable[Any], mixed: _Mixed) -> list[Any]:
    """The origins of a jaxpr's results; a result that does not depend on its inputs is an array."""
    origins = dict(zip(jaxpr.constvars, constants, strict=True)) | dict(zip(jaxpr.invars, inputs, strict=True))

    def read(variable: Any) -> Any:
        return known(variable) if isinstance(variable, Literal) else origins[variable]

    for equation in jaxpr.eqns:
        results = _of_equation(equation, [read(variable) for variable in equation.invars], mixed)
        origins |= dict(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _of_equation(equation: Any, inputs: list[Any], mixed: _Mixed) -> list[Any]:
    primitive, params = equation.primitive, equation.params
    shapes = [variable.aval.shape for variable in equation.outvars]
    dependent = [x for x in inputs if isinstance(x, _Origin)]
    if primitive.name in ("jit", "pjit", "closed_call", "custom_jvp_call"):
        called = params.get("jaxpr") or params["call_jaxpr"]
        return _follow(called.jaxpr, called.consts, inputs, mixed)
    if not dependent:
        result = primitive.bind(*inputs, **params)
        return list(result) if primitive.multiple_results else [result]
    if primitive.name in _MOVES and (primitive.name != "gather" or (isinstance(inputs[0], _Origin) and len(dependent) == 1)):

        def moved(part: str, otherwise: int) -> np.ndarray:
            arrays = []
            for number, x in enumerate(inputs):
                if isinstance(x, _Origin):
                    arrays.append(getattr(x, part).astype(np.int32))
                else:  # constants among the operands, and the indices of a gather
                    is_index = primitive.name == "gather" and number == 1
                    arrays.append(x if is_index else np.full(np.shape(x), otherwise, np.int32))
            return np.asarray(primitive.bind(*arrays, **params))

        return [_Origin(moved("inputs", -1), moved("places", 0), moved("exact", 0).astype(bool))]
    if primitive.name in _OF_EACH and len(dependent) == 1 and dependent[0].places.shape == shapes[0]:
        neutral = {"max": -np.inf, "min": np.inf}.get(primitive.name, np.nan)
        if len(inputs) > 1 and all(
            isinstance(x, _Origin) or np.all(x == neutral) for x in inputs
        ):  # a limit that there is not
            return dependent
        return [dataclasses.replace(dependent[0], exact=np.zeros(shapes[0], bool))]
    return [_computed(shape, _sources(dependent, mixed), mixed) for shape in shapes]


def _grouped(result: Any, mixed: _Mixed, names: list[str], shapes: list[tuple[int, ...]]) -> list[Entry]:
    """The entries of an observation: its longest runs of neighbours of one origin."""
    if not isinstance(result, _Origin):
        return [Entry("constant", int(np.size(result)), False)]
    entries: list[Entry] = []
    start = 0
    rows = list(zip(result.inputs.tolist(), result.places.tolist(), result.exact.tolist(), strict=True))
    for end in range(1, len(rows) + 1):
        (source, place, exact), last = rows[start], rows[end - 1]
        follows = end < len(rows) and rows[end] == (source, place + (end - start) * (source >= 0), exact)
        if follows:
            continue
        if source < 0:
            name = f"from {', '.join(names[number] for number in sorted(mixed[-1 - source]))}" if source < -1 else "constant"
        else:
            size = int(np.prod(shapes[source]))
            name = names[source] if (place, last[1] + 1) == (0, size) else f"{names[source]}[{place}:{last[1] + 1}]"
        entries.append(Entry(name, end - start, exact))
        start = end
    return entries

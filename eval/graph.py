"""A policy as a list of NumPy calls: what `eval.export` writes to a file, traced from the policy's own functions.

JAX traces the function over a batch of any size. Each of its primitives becomes one or a few calls of NumPy's functions.
What does not depend on the observation is computed at once and becomes a constant. So no network, head or scaling of actions
needs an exporter of its own.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend.core import Jaxpr, Literal

INPUT = "obs"
"""The name of the graph's input."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in (
        *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "matmul"),
        *("positive", "negative", "absolute", "sign", "floor", "exp", "log", "sqrt", "sin", "cos", "tanh"),
        *("less", "less_equal", "greater", "greater_equal", "equal", "logical_and", "logical_or", "logical_not", "where"),
        *("sum", "max", "min", "take", "append", "reshape", "transpose"),
    )
} | {"erf": np.vectorize(math.erf, otypes=[np.float32])}
"""What a step may call, by name: functions of NumPy's, and the error function, which NumPy lacks."""

_SAME = {
    "add": "add",
    "add_any": "add",
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "pow": "power",
    "max": "maximum",
    "min": "minimum",
    "neg": "negative",
    "abs": "absolute",
    "sign": "sign",
    "floor": "floor",
    "exp": "exp",
    "log": "log",
    "sqrt": "sqrt",
    "sin": "sin",
    "cos": "cos",
    "tanh": "tanh",
    "erf": "erf",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "and": "logical_and",
    "or": "logical_or",
    "not": "logical_not",
}
"""JAX's primitives that compute each number alone, and NumPy's functions for them."""

_REDUCTIONS = {"reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min"}

_PASSED_ON = ("copy", "copy_p", "stop_gradient", "optimization_barrier")


@dataclasses.dataclass(frozen=True)
class Step:
    """One call: ``output = FUNCTIONS[function](*inputs)``.

    Attributes:
      output: name of the value that it computes.
      function: a name in `FUNCTIONS`.
      inputs: names of values; and what is no string stands for itself: an axis, or a list of sizes or indices.
    """

    output: str
    function: str
    inputs: Sequence[Any]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A function of the observation ``[batch, obs_size]`` (the value `INPUT`), as steps in the order of their computation.

    Attributes:
      obs_size: width of the input.
      constants: arrays that some step uses, float32 or bool, by name.
      steps: the calls.
      outputs: widths of the results ``[batch, width]``, by their names, which are those of values.
    """

    obs_size: int
    constants: dict[str, np.ndarray]
    steps: tuple[Step, ...]
    outputs: dict[str, int]

    def __call__(self, obs: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the outputs, by their names, for observations ``[batch, obs_size]``."""
        values: dict[str, Any] = {**self.constants, INPUT: np.asarray(obs, np.float32)}
        for step in self.steps:
            inputs = [values[x] if isinstance(x, str) else x for x in step.inputs]
            values[step.output] = FUNCTIONS[step.function](*inputs)
        return {name: values[name] for name in self.outputs}


def trace(function: Callable[[jax.Array], dict[str, jax.Array]], obs_size: int) -> Graph:
    """Writes a function down as a `Graph`.

    Args:
      function: ``obs [batch, obs_size] -> {name: [batch, width]}``, float32, for any batch.
      obs_size: width of its input.

    Raises:
      NotImplementedError: it contains a primitive that no step stands for; the message names it.
    """
    [batch] = export.symbolic_shape("batch")
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(jax.ShapeDtypeStruct((batch, obs_size), jnp.float32))
    writer = _Writer(batch)
    results = writer.run(closed.jaxpr, closed.consts, [_Value(INPUT, (batch, obs_size))])
    for name, result in zip(sorted(shapes), results, strict=True):  # JAX sorts the keys of a dict
        writer.steps.append(
            Step(name, "positive", (writer.name_of(writer.filled(result, (batch, shapes[name].shape[-1]))),))
        )
    return _without_unused(writer, obs_size, {name: shapes[name].shape[-1] for name in shapes})


def known(literal: Any) -> np.ndarray:
    """The value of a literal of a jaxpr."""
    return np.asarray(literal.val, literal.aval.dtype)


def _without_unused(writer: "_Writer", obs_size: int, outputs: dict[str, int]) -> Graph:
    """The graph without what its outputs do not need, such as the spread of the policy."""
    needed, steps = set(outputs), []
    for step in reversed(writer.steps):
        if step.output in needed:
            needed.update(x for x in step.inputs if isinstance(x, str))
            steps.append(step)
    constants = {name: value for name, value in writer.constants.items() if name in needed}
    return Graph(obs_size, constants, tuple(reversed(steps)), outputs)


@dataclasses.dataclass(frozen=True)
class _Value:
    """A value that depends on the observation.

    Attributes:
      name: in the graph.
      shape: that of the computed array. It has size 1 along an axis along which the function's value only repeats itself.
    """

    name: str
    shape: tuple[Any, ...]


class _Writer:
    """Writes steps, one equation after the other."""

    def __init__(self, batch: Any):
        self.batch = batch
        self.steps: list[Step] = []
        self.constants: dict[str, np.ndarray] = {}

    def run(self, jaxpr: Jaxpr, constants: Iterable[Any], inputs: Iterable[Any]) -> list[Any]:
        """Writes all equations of a jaxpr; returns its results."""
        values = dict(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
        values |= dict(zip(jaxpr.invars, inputs, strict=True))

        def read(variable: Any) -> Any:
            return known(variable) if isinstance(variable, Literal) else values[variable]

        for equation in jaxpr.eqns:
            results = self.equation(equation, [read(variable) for variable in equation.invars])
            values |= dict(zip(equation.outvars, results, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def equation(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """Writes one equation; returns its results."""
        primitive, params = equation.primitive, equation.params
        called = next(
            (params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if hasattr(params.get(key), "eqns")), None
        )
        if called is not None and primitive.name in (
            "pjit",
            "jit",
            "closed_call",
            "custom_jvp_call",
            "custom_vjp_call",
            "remat2",
        ):
            inner = getattr(called, "jaxpr", called)
            return self.run(inner, getattr(called, "consts", ()), inputs)
        if primitive.name == "split":
            ends = np.cumsum(params["sizes"])
            return [
                self.taken(inputs[0], list(range(end - size, end)), params["axis"], variable.aval.shape)
                for size, end, variable in zip(params["sizes"], ends.tolist(), equation.outvars, strict=True)
            ]
        try:
            avals = [variable.aval for variable in equation.invars]
            return [self.result(primitive.name, params, inputs, avals, equation.outvars[0].aval)]
        except NotImplementedError:
            sizes = [size for variable in equation.outvars for size in variable.aval.shape]
            if any(isinstance(x, _Value) for x in inputs) or not all(isinstance(size, int) for size in sizes):
                raise
        result = primitive.bind(*inputs, **params)  # of what is known, JAX computes what no step stands for
        return list(map(np.asarray, result)) if primitive.multiple_results else [np.asarray(result)]

    def result(self, name: str, params: dict[str, Any], inputs: list[Any], avals: list[Any], aval: Any) -> Any:
        """Writes one equation with one result."""
        if name in _SAME:
            return self.elementwise(_SAME[name], *inputs)
        if name in _PASSED_ON:
            return inputs[0]
        if name in ("square", "integer_pow"):
            power = params.get("y", 2)
            return self.elementwise("power", inputs[0], np.float32(power)) if power != 2 else self.times(*inputs, *inputs)
        if name == "rsqrt":
            return self.elementwise("divide", np.float32(1), self.elementwise("sqrt", inputs[0]))
        if name == "logistic":  # written so that nothing overflows
            half = self.elementwise("tanh", self.times(inputs[0], np.float32(0.5)))
            return self.elementwise("add", self.times(half, np.float32(0.5)), np.float32(0.5))
        if name == "ne":
            return self.elementwise("logical_not", self.elementwise("equal", *inputs))
        if name == "clamp":
            low, x, high = inputs
            return self.elementwise("minimum", self.elementwise("maximum", x, low), high)
        if name == "select_n" and len(inputs) == 3:
            which, no, yes = inputs
            if not isinstance(which, _Value) and np.size(which) == 1:
                return yes if np.all(which) else no
            return self.elementwise("where", which, yes, no)
        if name == "convert_element_type":
            before, after = avals[0].dtype, params["new_dtype"]
            if not isinstance(inputs[0], _Value):
                return np.asarray(inputs[0]).astype(after)
            if before == np.dtype(bool):  # a graph has no integers: 1.0 stands for 1
                return self.elementwise("where", inputs[0], np.float32(1), np.float32(0))
            if after == jnp.float32 or before == after:
                return inputs[0]
        if name == "broadcast_in_dim":
            return self.broadcast(inputs[0], params["broadcast_dimensions"], len(aval.shape))
        if name in ("reshape", "squeeze", "expand_dims"):
            return self.reshaped(self.filled(inputs[0], avals[0].shape), aval.shape)
        if name == "transpose":
            return self.transposed(self.filled(inputs[0], avals[0].shape), params["permutation"])
        if name in _REDUCTIONS:
            x = self.filled(inputs[0], avals[0].shape)
            for axis in sorted(params["axes"], reverse=True):
                x = self.write(_REDUCTIONS[name], (x, axis), x.shape[:axis] + x.shape[axis + 1 :])
            return x
        if name == "slice":
            return self.sliced(self.filled(inputs[0], avals[0].shape), params, aval.shape)
        if name == "gather":
            return self.gathered(inputs, params, avals, aval.shape)
        if name in ("concatenate", "stack"):
            axis = params["dimension"] if name == "concatenate" else params["axis"]
            filled = [self.filled(x, a.shape) for x, a in zip(inputs, avals, strict=True)]
            if name == "stack":
                filled = [self.reshaped(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in filled]
            joined = filled[0]
            for x in filled[1:]:
                shape = (*joined.shape[:axis], joined.shape[axis] + x.shape[axis], *joined.shape[axis + 1 :])
                joined = self.write("append", (joined, x, axis), shape)
            return joined
        if name == "dot_general":
            (contract, batches) = params["dimension_numbers"]
            if not any(batches) and all(len(axes) == 1 for axes in contract) and max(len(a.shape) for a in avals) <= 2:
                return self.product(inputs, avals, [axes[0] for axes in contract], aval.shape)
        shapes = ", ".join(str(list(a.shape)) for a in avals)
        raise NotImplementedError(f"no step stands for JAX's {name} of {shapes}")

    def write(self, function: str, inputs: tuple[Any, ...], shape: tuple[Any, ...]) -> Any:
        """Writes a step whose inputs are values, known arrays, or numbers and lists that stand for themselves.

        If no input depends on the observation, the step is computed at once.
        """
        if not any(isinstance(x, _Value) for x in inputs):
            return np.asarray(FUNCTIONS[function](*inputs))
        named = tuple(self.name_of(x) if isinstance(x, _Value | np.ndarray | np.generic) else x for x in inputs)
        output = f"t{len(self.steps)}"
        self.steps.append(Step(output, function, named))
        return _Value(output, shape)

    def name_of(self, value: Any) -> str:
        """The name of a value. A known one becomes a constant."""
        if isinstance(value, _Value):
            return value.name
        array = np.asarray(value)
        name = f"c{len(self.constants)}"
        self.constants[name] = array if array.dtype == bool else array.astype(np.float32)
        return name

    def elementwise(self, function: str, *inputs: Any) -> Any:
        """Writes a function of each number alone. NumPy repeats what has size 1."""
        shapes = [x.shape if isinstance(x, _Value) else np.shape(x) for x in inputs]
        rank = max(map(len, shapes))
        padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
        return self.write(function, inputs, tuple(_repeated(sizes) for sizes in zip(*padded, strict=True)))

    def times(self, x: Any, y: Any) -> Any:
        """Writes a product."""
        return self.elementwise("multiply", x, y)

    def reshaped(self, x: Any, shape: tuple[Any, ...]) -> Any:
        """Writes another shape, in which the batch may have any size."""
        if not isinstance(x, _Value):
            return np.reshape(x, shape)
        if x.shape == tuple(shape):
            return x
        return self.write("reshape", (x, [size if isinstance(size, int) else -1 for size in shape]), tuple(shape))

    def broadcast(self, x: Any, dimensions: tuple[int, ...], rank: int) -> Any:
        """Gives a value further axes, of size 1: NumPy repeats it where that matters."""
        shape: list[Any] = [1] * rank
        for axis, size in zip(dimensions, x.shape, strict=True):
            shape[axis] = size
        return self.reshaped(x, tuple(shape))

    def filled(self, x: Any, shape: tuple[Any, ...]) -> Any:
        """The value with all its repetitions, for a step that does more than compute each number alone."""
        now = x.shape if isinstance(x, _Value) else np.shape(x)
        if tuple(now) == tuple(shape):
            return x
        if all(isinstance(size, int) for size in shape):
            return self.elementwise("add", x, np.zeros(shape, np.float32))
        if len(shape) != 2 or (shape[0] is not self.batch and shape[0] != self.batch):
            raise NotImplementedError(f"no step stands for a repetition {list(now)} -> {list(shape)}")
        zeros = self.times(self.taken(_Value(INPUT, (self.batch, None)), [0], 1, (self.batch, 1)), np.float32(0))
        return self.elementwise("add", zeros, self.elementwise("add", x, np.zeros((1, shape[1]), np.float32)))

    def transposed(self, x: Any, permutation: Iterable[int]) -> Any:
        """Writes a permutation of axes."""
        axes = list(permutation)
        return self.write("transpose", (x, axes), tuple(x.shape[axis] for axis in axes))

    def taken(self, x: Any, indices: list[int], axis: int, shape: tuple[Any, ...]) -> Any:
        """Writes a choice of indices along one axis."""
        return self.write("take", (x, indices, axis), tuple(shape))

    def sliced(self, x: Any, params: dict[str, Any], shape: tuple[Any, ...]) -> Any:
        """Writes a slice. Along the batch it must be whole."""
        steps = params["strides"] or (1,) * len(shape)
        bounds = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
        for axis, (start, end, step) in enumerate(bounds):
            if isinstance(end, int) and (start, end, step) != (0, x.shape[axis], 1):
                indices = list(range(start, end, step))
                x = self.taken(x, indices, axis, (*x.shape[:axis], len(indices), *x.shape[axis + 1 :]))
            elif not isinstance(end, int) and (start, step) != (0, 1):
                raise NotImplementedError("no step stands for a part of the batch")
        return x

    def gathered(self, inputs: list[Any], params: dict[str, Any], avals: list[Any], shape: tuple[Any, ...]) -> Any:
        """Writes a choice of known indices along the last axis, or of one window there: no other kind of gather."""
        x, starts = inputs
        *whole, last = avals[0].shape
        *sizes, window = params["slice_sizes"]
        numbers, axis = params["dimension_numbers"], len(whole)
        if (
            isinstance(starts, _Value)
            or tuple(numbers.start_index_map) != (axis,)
            or sizes != whole
            or list(shape[:axis]) != whole
            or (window > 1 and starts.size > 1)
        ):
            raise NotImplementedError("no step stands for a choice of unknown indices, or not along the last axis")
        first = np.clip(starts.reshape(-1), 0, last - window).tolist()
        indices = first if window == 1 else list(range(first[0], first[0] + window))
        taken = self.taken(self.filled(x, avals[0].shape), indices, axis, (*whole, len(indices)))
        return self.reshaped(taken, shape)

    def product(self, inputs: list[Any], avals: list[Any], contract: list[int], shape: tuple[Any, ...]) -> Any:
        """Writes a product of matrices or vectors."""
        left, right = (self.filled(x, a.shape) for x, a in zip(inputs, avals, strict=True))
        if contract[0] != len(left.shape) - 1:
            left = self.transposed(left, (1, 0))
        if contract[1] != 0:
            right = self.transposed(right, (1, 0))
        return self.write("matmul", (left, right), tuple(shape))


def _repeated(sizes: Iterable[Any]) -> Any:
    """The size that NumPy gives an axis along which arrays have these sizes."""
    return next((size for size in sizes if not (isinstance(size, int) and size == 1)), 1)

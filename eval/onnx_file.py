"""Writes a `Graph` as an ONNX file: opset 18, which runtimes have read since 2023.

An ONNX file is one message of Protocol Buffers. The few fields that a policy needs are encoded here, with the numbers that
``onnx.proto`` gives them. So nobody has to install a package to export.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from eval.graph import INPUT, Graph, Step

OPSET = 18
IR_VERSION = 9
_FLOAT, _INT64, _BOOL = 1, 7, 9  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType

_OPERATORS = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "maximum": "Max",
    "minimum": "Min",
    "matmul": "MatMul",
    "positive": "Identity",
    "negative": "Neg",
    "absolute": "Abs",
    "sign": "Sign",
    "floor": "Floor",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "sin": "Sin",
    "cos": "Cos",
    "tanh": "Tanh",
    "erf": "Erf",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "equal": "Equal",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_not": "Not",
    "where": "Where",
    "sum": "ReduceSum",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "take": "Gather",
    "append": "Concat",
    "reshape": "Reshape",
    "transpose": "Transpose",
}
"""ONNX's operators for the functions of a step."""


def to_onnx(graph: Graph, metadata: Mapping[str, str], producer_version: str) -> bytes:
    """The file's contents.

    Args:
      graph: what it computes. The input is ``obs`` ``[batch, obs_size]``, float32; so are the outputs.
      metadata: what the file says about the policy.
      producer_version: version of this project.
    """
    constants, nodes = dict(graph.constants), []
    for step in graph.steps:
        nodes.append(_node(step, constants))
    body = b"".join(_field(1, node) for node in nodes) + _field(2, "policy")
    body += b"".join(_field(5, _tensor(name, value)) for name, value in constants.items())
    body += _field(11, _value_info(INPUT, graph.obs_size))
    body += b"".join(_field(12, _value_info(name, width)) for name, width in graph.outputs.items())
    model = _field(1, IR_VERSION) + _field(2, "mjx-tecrl") + _field(3, producer_version) + _field(7, body)
    model += _field(8, _field(1, "") + _field(2, OPSET))
    return model + b"".join(_field(14, _field(1, key) + _field(2, text)) for key, text in metadata.items())


def _node(step: Step, constants: dict[str, np.ndarray]) -> bytes:
    """NodeProto. Lists of numbers that are inputs in ONNX become ``constants``; axes become attributes."""
    names = [x for x in step.inputs if isinstance(x, str)]
    others = [x for x in step.inputs if not isinstance(x, str)]
    attributes: dict[str, Any] = {}
    if step.function in ("sum", "max", "min"):
        others, attributes["keepdims"] = [others], 0
    elif step.function == "transpose":
        attributes["perm"], others = others[0], []
    elif step.function in ("take", "append"):
        *others, attributes["axis"] = others
    for numbers in others:
        names.append(f"{step.output}_{len(names)}")
        constants[names[-1]] = np.asarray(numbers, np.int64)
    node = b"".join(_field(1, name) for name in names) + _field(2, step.output)
    node += _field(3, step.output) + _field(4, _OPERATORS[step.function])
    return node + b"".join(_field(5, _attribute(name, value)) for name, value in attributes.items())


def _attribute(name: str, value: int | list[int]) -> bytes:
    """AttributeProto."""
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, _INT)
    return _field(1, name) + b"".join(_field(8, number) for number in value) + _field(20, _INTS)


def _tensor(name: str, value: np.ndarray) -> bytes:
    """TensorProto."""
    kinds = {np.dtype(np.float32): _FLOAT, np.dtype(np.int64): _INT64, np.dtype(bool): _BOOL}
    little = value.astype(value.dtype.newbyteorder("<"))
    sizes = b"".join(_field(1, size) for size in value.shape)
    return sizes + _field(2, kinds[value.dtype]) + _field(8, name) + _field(9, little.tobytes())


def _value_info(name: str, width: int) -> bytes:
    """ValueInfoProto of a float32 array ``[batch, width]``."""
    shape = _field(1, _field(2, "batch")) + _field(1, _field(1, width))
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, shape)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field of a message: an integer, or a text, bytes or a message with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """An integer in groups of seven bits, the lowest first. A negative one counts as 64 bits."""
    value &= 2**64 - 1
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes((*groups, value))

"""NumPy functions as operations of compiled programs.

On the CPU, XLA calls the function through its foreign function interface (FFI). The second half of this file describes the
part of that C interface that is used. On an accelerator, JAX's own ``jax.pure_callback`` calls the function. The CPU does
without it, for three reasons:

- It reaches the function by an address in this process, so JAX keeps no program that uses it in the compilation cache.
- Each call costs half a millisecond.
- It moves the arguments by a JAX operation inside the callback, which can wait for ever for the thread that runs it.

The last is also why it is no fallback: where XLA's interface does not fit, `host_call` raises an error that says so.
"""

import ctypes
import functools
import math
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

HostFunction = Callable[..., tuple[np.ndarray, ...]]

VERSION = (0, 3)
"""Version (major, minor) of XLA's interface that this file describes.

XLA is told this version. It refuses it if its own is older, or so much newer that it no longer supports this one. Between
those, minor versions only add to the structures. Besides, every structure is checked to be as large as what is read of it.
"""


def host_call(name: str, function: HostFunction, result: tuple[jax.ShapeDtypeStruct, ...], *arrays: jax.Array) -> Any:
    """Calls ``function(*arrays)`` on the host, as an operation of the program that is being traced.

    Args:
      name: identifies ``function``. Of two functions with the same name the first is called for both, so they must compute
        the same. This holds across all processes that share a compilation cache.
      function: takes and returns NumPy arrays. Those that it takes are XLA's own memory: it must neither write to them nor
        keep them. Under ``vmap`` it is called once, with all leading axes.
      result: shapes and types of what it returns, without the axes of ``vmap``. If it returns anything else, the program
        ends with an error.
      arrays: its arguments.

    Raises:
      NotImplementedError: XLA's interface in the installed jaxlib is not the one that this file describes.
    """
    if jax.default_backend() != "cpu":
        return _call_from_accelerator(function, result, *map(jnp.asarray, arrays))
    if name not in _registered:
        _register(name, function)
        _registered.add(name)
    return jax.ffi.ffi_call(name, result, vmap_method="broadcast_all")(*arrays)


def _call_from_accelerator(
    function: HostFunction, result: tuple[jax.ShapeDtypeStruct, ...], *arrays: jax.Array
) -> tuple[jax.Array, ...]:
    """Calls by JAX's own callback. All float32 numbers go in one array, and come back in one.

    To move an array costs an accelerator some microseconds and JAX many more, however small the array is.
    """
    likes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays)

    def call(*packed: jax.Array) -> tuple[np.ndarray, ...]:
        given = tuple(map(np.asarray, packed))
        leading = given[0].shape[:-1]  # the axes of ``vmap``
        returned = function(*_unpacked(given, likes))
        for values, like in zip(returned, result, strict=True):
            _check_promised(values, (*leading, *like.shape), like.dtype)
        return _packed(np, returned, result, leading)

    promised = jax.eval_shape(lambda *values: _packed(jnp, values, result), *result)
    returned = jax.pure_callback(call, promised, *_packed(jnp, arrays, likes), vmap_method="broadcast_all")
    return _unpacked(returned, result)


def _packed(xp: Any, values: Sequence[Any], likes: Sequence[jax.ShapeDtypeStruct], leading: tuple[int, ...] = ()) -> Any:
    """The float32 arrays among ``values`` as one ``[*leading, numbers]``, and then the others as they are.

    Args:
      xp: NumPy or `jax.numpy`.
      values: arrays ``[*leading, ...]``.
      likes: their shapes without the leading axes.
      leading: the leading axes.
    """
    together = [xp.zeros((*leading, 0), np.float32)]  # so that there is one in any case
    others = []
    for x, like in zip(values, likes, strict=True):
        if like.dtype == np.float32:
            together.append(xp.reshape(x, (*leading, math.prod(like.shape))))
        else:
            others.append(x)
    return (xp.concatenate(together, axis=-1), *others)


def _unpacked(packed: Sequence[Any], likes: Sequence[jax.ShapeDtypeStruct]) -> tuple[Any, ...]:
    """The arrays that `_packed` was given."""
    numbers, *others = packed
    values, start = [], 0
    for like in likes:
        if like.dtype == np.float32:
            end = start + math.prod(like.shape)
            values.append(numbers[..., start:end].reshape((*numbers.shape[:-1], *like.shape)))
            start = end
        else:
            values.append(others.pop(0))
    return tuple(values)


def _check_promised(values: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Checks what a function has returned.

    Raises:
      TypeError: it is of another shape or type than was promised.
    """
    if (values.shape, values.dtype) != (shape, dtype):
        raise TypeError(f"{values.dtype}{values.shape} was returned where {dtype}{shape} was promised")


def _register(name: str, function: HostFunction) -> None:
    """Makes ``function`` known to XLA, which at once asks it for its version."""
    refusals: list[str] = []

    def handle(frame: Any) -> int | None:
        return _handle(frame.contents, function, refusals)

    handler = _Handler(handle)
    _kept.append(handler)
    try:
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    except jax.errors.JaxRuntimeError as error:  # XLA refuses the version
        refusals.append(str(error).rstrip("."))
    if refusals:
        raise NotImplementedError(
            f"the native engine does not fit jaxlib {jaxlib.__version__}: {refusals[0]}; "
            "install a jaxlib that this package was tested with, or choose the engine mjx"
        )


# XLA's interface for foreign functions, as far as it is needed. Names are those of xla/ffi/api/c_api.h.

_HEAD = (("struct_size", ctypes.c_size_t), ("extension", ctypes.c_void_p))


Struct = TypeVar("Struct", bound=ctypes.Structure)


def _checked(struct: Struct) -> Struct:
    """Returns ``struct`` if XLA says that it is as large as what is read of it.

    Raises:
      TypeError: it is smaller.
    """
    if struct.struct_size < _bytes_read(type(struct)):
        raise TypeError(
            f"XLA's structure {type(struct).__name__[1:]} has {struct.struct_size} bytes, "
            f"of which {_bytes_read(type(struct))} would be read"
        )
    return struct


@functools.cache
def _bytes_read(kind: type[ctypes.Structure]) -> int:
    """Size of a structure up to the end of its last field; ``sizeof`` can be larger."""
    last = getattr(kind, kind._fields_[-1][0])
    return last.offset + last.size


class _Extension(ctypes.Structure):
    _fields_ = (("struct_size", ctypes.c_size_t), ("type", ctypes.c_int), ("next", ctypes.c_void_p))


class _Version(ctypes.Structure):
    _fields_ = (*_HEAD, ("major", ctypes.c_int), ("minor", ctypes.c_int))


class _Metadata(ctypes.Structure):
    _fields_ = (("struct_size", ctypes.c_size_t), ("api_version", _Version), ("traits", ctypes.c_uint32))


class _MetadataExtension(ctypes.Structure):
    _fields_ = (("base", _Extension), ("metadata", ctypes.POINTER(_Metadata)))


class _Buffer(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("dtype", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("rank", ctypes.c_int64),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
    )

    def array(self) -> np.ndarray:
        """The buffer's own memory, not a copy."""
        dtype, shape = _DTYPES[self.dtype], tuple(self.dims[: self.rank])
        size = math.prod(shape) * dtype.itemsize
        # An empty buffer may have no address.
        memory = (ctypes.c_char * size).from_address(self.data) if size else bytearray()
        return np.ndarray(shape, dtype, memory)


class _Buffers(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("size", ctypes.c_int64),
        ("types", ctypes.c_void_p),
        ("buffers", ctypes.POINTER(ctypes.POINTER(_Buffer))),
    )

    def arrays(self) -> list[np.ndarray]:
        """All buffers, as `_Buffer.array` returns them."""
        return [_checked(self.buffers[i].contents).array() for i in range(self.size)]


class _ErrorArguments(ctypes.Structure):
    _fields_ = (*_HEAD, ("message", ctypes.c_char_p), ("code", ctypes.c_int))


class _Api(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("version", _Version),
        ("internal_api", ctypes.c_void_p),
        ("create_error", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_ErrorArguments))),
    )


class _CallFrame(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("api", ctypes.POINTER(_Api)),
        ("context", ctypes.c_void_p),
        ("stage", ctypes.c_int),
        ("arguments", _Buffers),
        ("results", _Buffers),
    )


_Handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_CallFrame))

_registered: set[str] = set()
"""Names that XLA knows."""
_kept: list[Any] = []
"""Handlers of which XLA may hold the address, kept so that Python does not free them."""

_METADATA = 1
_INTERNAL = 13
_DTYPES = {
    code: np.dtype(name)
    for code, name in (
        (1, "bool"),
        (4, "int32"),
        (5, "int64"),
        (6, "uint8"),
        (8, "uint32"),
        (11, "float32"),
        (12, "float64"),
    )
}


def _handle(frame: _CallFrame, function: HostFunction, refusals: list[str]) -> int | None:
    """What XLA calls: first to ask for the version of its interface, then to execute. None means success.

    Args:
      frame: what XLA passes.
      function: what to execute.
      refusals: where a reason is added if XLA's interface does not fit. (An exception cannot be raised to XLA.)
    """
    if frame.extension:
        extension = _MetadataExtension.from_address(frame.extension)
        if extension.base.type == _METADATA:
            try:
                _introduce(frame, extension)
            except TypeError as error:
                refusals.append(str(error))
            return None
    try:
        returned = function(*_checked(frame.arguments).arrays())
        for buffer, values in zip(_checked(frame.results).arrays(), returned, strict=True):
            _check_promised(values, buffer.shape, buffer.dtype)
            buffer[...] = values
    except BaseException:
        # XLA, which called this, takes no Python exceptions: it gets the text of this one.
        arguments = _ErrorArguments(ctypes.sizeof(_ErrorArguments), None, traceback.format_exc().encode(), _INTERNAL)
        return frame.api.contents.create_error(arguments)
    return None


def _introduce(frame: _CallFrame, extension: _MetadataExtension) -> None:
    """Tells XLA which version of its interface is spoken here.

    Raises:
      TypeError: XLA's own does not fit it.
    """
    theirs = _checked(_checked(_checked(frame).api.contents).version)
    if theirs.major != VERSION[0]:
        raise TypeError(f"XLA's foreign function interface has version {theirs.major}.{theirs.minor}, not {VERSION[0]}.x")
    ours = _checked(extension.metadata.contents).api_version
    ours.major, ours.minor = VERSION

"""NumPy functions as operations of compiled programs."""

import ctypes
import math
import traceback
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

HostFunction = Callable[..., tuple[np.ndarray, ...]]


def host_call(name: str, function: HostFunction, result: tuple[jax.ShapeDtypeStruct, ...], *arrays: jax.Array) -> Any:
    """``function(*arrays)`` on the host, as an operation of the program that is being traced.

    On the CPU it is reached by its name, through XLA's foreign function interface, and not as ``jax.pure_callback`` reaches
    it, by an address: programs that call back so are kept in no compilation cache, and each call costs half a millisecond.

    Args:
      name: stands for ``function``. Of two functions of one name the first is called: they must compute the same, in this
        process and in every other that shares a compilation cache with it.
      function: takes NumPy arrays, which are XLA's own memory and must not be written to or kept, and returns NumPy arrays.
        Under ``vmap`` it is called once, with all leading axes.
      result: shapes and types of what it returns, without those axes; anything else ends the program with an error.
      arrays: what it is called with.
    """
    if jax.default_backend() != "cpu":
        call = lambda *arrays: function(*map(np.asarray, arrays))  # noqa: E731
        return jax.pure_callback(call, result, *arrays, vmap_method="broadcast_all")
    if name not in _handlers:
        handler = _Handler(lambda frame: _handle(frame.contents, function))
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
        _handlers[name] = handler
    return jax.ffi.ffi_call(name, result, vmap_method="broadcast_all")(*arrays)


# XLA's interface for foreign functions, as far as it is needed; names are those of xla/ffi/api/c_api.h, version 0.3.


_HEAD = (("struct_size", ctypes.c_size_t), ("extension", ctypes.c_void_p))


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
        """The buffer itself, not a copy."""
        dtype, shape = _DTYPES[self.dtype], tuple(self.dims[: self.rank])
        size = math.prod(shape) * dtype.itemsize
        memory = (ctypes.c_char * size).from_address(self.data) if size else bytearray()  # of nothing there is no address
        return np.ndarray(shape, dtype, memory)


class _Buffers(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("size", ctypes.c_int64),
        ("types", ctypes.c_void_p),
        ("buffers", ctypes.POINTER(ctypes.POINTER(_Buffer))),
    )

    def arrays(self) -> list[np.ndarray]:
        return [self.buffers[i].contents.array() for i in range(self.size)]


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
_handlers: dict[str, Any] = {}

_MAJOR = 0
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


def _handle(frame: _CallFrame, function: HostFunction) -> int | None:
    """What XLA calls: once to ask for the version that is spoken here, then to execute. None means success."""
    if frame.extension:
        extension = _MetadataExtension.from_address(frame.extension)
        if extension.base.type == _METADATA:
            theirs, ours = frame.api.contents.version, extension.metadata.contents.api_version
            # Minor versions have only added to what is used here. XLA refuses, in a sentence, versions that are not its own.
            ours.major, ours.minor = _MAJOR, theirs.minor
            return None
    try:
        returned = function(*frame.arguments.arrays())
        for buffer, values in zip(frame.results.arrays(), returned, strict=True):
            if (values.shape, values.dtype) != (buffer.shape, buffer.dtype):
                raise TypeError(f"{values.dtype}{values.shape} was returned where {buffer.dtype}{buffer.shape} was promised")
            buffer[...] = values
    except BaseException:
        # There is no frame above this one in which it could be raised.
        arguments = _ErrorArguments(ctypes.sizeof(_ErrorArguments), None, traceback.format_exc().encode(), _INTERNAL)
        return frame.api.contents.create_error(arguments)
    return None

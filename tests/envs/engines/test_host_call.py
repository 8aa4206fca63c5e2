"""NumPy functions as operations of compiled programs."""

import ctypes
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.engines import host_call as host_call_module
from envs.engines.host_call import host_call


def shaped(*shapes, dtype=jnp.float32):
    return tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_is_called_with_the_arguments_and_returns_what_the_function_does(backend, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)

    def function(a, b, flag, nothing):
        assert (a.dtype, b.dtype, flag.dtype, nothing.shape) == (np.float32, np.int32, bool, (0,))
        return a * np.float32(b)[:, None], np.float32(b.sum() if flag else 0), nothing

    @jax.jit
    def program(a, b, flag, nothing):
        return host_call(f"test arguments {backend}", function, shaped((3, 2), (), (0,)), a, b, flag, nothing)

    a, b = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([1, 10, 100], np.int32)
    product, total, empty = program(a, b, True, np.zeros(0, np.float32))
    np.testing.assert_array_equal(product, a * b[:, None])
    assert (total, empty.shape) == (111, (0,))
    assert program(a, b, False, np.zeros(0, np.float32))[1] == 0


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_is_called_once_for_all_of_a_vmap(backend, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    calls = []

    def function(a, b):
        calls.append((a.shape, b.shape))
        return ((a + b[..., None]).sum(-1),)

    program = jax.jit(
        jax.vmap(jax.vmap(lambda a, b: host_call(f"test vmap {backend}", function, shaped(()), a, b)[0]), (None, 0))
    )
    a, b = np.ones((4, 3), np.float32), np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(program(a, b), (a + b[..., None]).sum(-1))
    assert calls == [((2, 4, 3), (2, 4))]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda a: 1 / 0, "ZeroDivisionError"),
        (lambda a: (a, a), "zip"),
        (lambda a: (np.zeros(1, np.float32),), r"float32\(1,\) was returned where float32\(3,\) was promised"),
        (lambda a: (np.zeros(3),), r"float64\(3,\) was returned"),
        (lambda a: (_ for _ in ()).throw(SystemExit("an end")), "an end"),
    ],
    ids=["raises", "too many results", "wrong shape", "wrong type", "exits"],
)
def test_an_error_ends_the_program_and_says_what_it_was(function, said, request):
    program = jax.jit(lambda a: host_call(f"test {request.node.name}", function, shaped((3,)), a))
    with pytest.raises(jax.errors.JaxRuntimeError, match=said):
        jax.block_until_ready(program(jnp.zeros(3)))


@pytest.mark.parametrize("returned", [np.zeros(1, np.float32), np.zeros(3)], ids=["wrong shape", "wrong type"])
def test_an_accelerator_too_is_given_what_was_promised_or_an_error(returned, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    program = jax.jit(lambda a: host_call("test promise", lambda a: (returned,), shaped((3,)), a))
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=rf"{re.escape(str(returned.shape))} was returned where float32\(3,\)"
    ):
        jax.block_until_ready(program(jnp.zeros(3)))


def test_between_an_accelerator_and_the_host_goes_one_array_each_way(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    task = envs.make("hopper", physics="native")
    state = jax.eval_shape(jax.vmap(task.reset), jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 5)))
    jaxpr = jax.make_jaxpr(jax.vmap(task.step))(state, jax.ShapeDtypeStruct((5, 3), jnp.float32)).jaxpr
    [call] = [equation for equation in jaxpr.eqns if equation.primitive.name == "pure_callback"]
    model, physics = task.model, state.physics
    read = sum(int(np.prod(task.engine._shapes[name])) for name in task.reads)
    kept = sum(x.size // 5 for x in jax.tree.leaves(physics))
    assert [x.aval.shape for x in call.invars] == [(5, kept + model.nu)]
    assert [x.aval.shape for x in call.outvars] == [(5, kept + read)]


PROGRAM = """
import sys
import jax, jax.numpy as jnp, numpy as np
from envs.engines.host_call import host_call
jax.config.update("jax_enable_compilation_cache", True)
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
found = []
jax.monitoring.register_event_listener(lambda name, **_: found.append(name))
def function(a):
    return (np.cumsum(a) + float(sys.argv[2]),)
@jax.jit
def program(a):
    return host_call("test cache", function, (jax.ShapeDtypeStruct((3,), jnp.float32),), a)
argument = jax.device_put(np.ones(3, np.float32))
found.clear()
print(program(argument)[0].tolist(), found.count("/jax/compilation_cache/cache_hits"))
"""


def test_a_program_that_calls_is_kept_in_the_compilation_cache(tmp_path):
    # The function of the process is called, not one of the process that compiled.
    def run(number):
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(number)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert run(0) == "[1.0, 2.0, 3.0] 0"
    assert run(10) == "[11.0, 12.0, 13.0] 1"


@pytest.mark.parametrize("version", [(0, 1000), (0, 0), (1000, 3)], ids=["too new", "too old", "another major"])
def test_a_version_that_xla_does_not_support_is_refused_in_a_sentence(version, monkeypatch):
    # For XLA it makes no difference whether this file or XLA itself has changed.
    monkeypatch.setattr(host_call_module, "VERSION", version)
    with pytest.raises(NotImplementedError, match=r"does not fit jaxlib .*version.* \(?0\.\d+.*; install a jaxlib"):
        host_call(f"test version {version}", lambda a: (a,), shaped((3,)), jnp.zeros(3))


def introduction(major=0, **sizes):
    """A call frame as XLA passes it to ask for the version, of that major version; ``sizes`` of structures that differ."""
    structs = host_call_module

    def size(kind):
        return sizes.get(kind.__name__, ctypes.sizeof(kind))

    metadata = structs._Metadata(size(structs._Metadata), structs._Version(size(structs._Version)), 0)
    base = structs._Extension(size(structs._Extension), structs._METADATA)
    extension = structs._MetadataExtension(base, ctypes.pointer(metadata))
    version = structs._Version(size(structs._Version), None, major, 3)
    api = structs._Api(size(structs._Api), None, version)
    frame = structs._CallFrame(size(structs._CallFrame), ctypes.addressof(extension), ctypes.pointer(api))
    return frame, extension, metadata


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({"major": 1}, r"has version 1\.3, not 0\.x"),
        ({"_CallFrame": 112}, "structure CallFrame has 112 bytes, of which 120 would be read"),
        ({"_Api": 40}, "structure Api has 40 bytes, of which 56 would be read"),
        ({"_Version": 16}, "structure Version has 16 bytes, of which 24 would be read"),
        ({"_Metadata": 8}, "structure Metadata has 8 bytes, of which 36 would be read"),
    ],
)
def test_an_xla_of_another_version_is_refused_before_more_of_it_is_read(differs, said):
    frame, extension, metadata = introduction(**differs)
    refusals = []
    assert host_call_module._handle(frame, lambda: (), refusals) is None
    assert re.search(said, refusals[0])
    assert (metadata.api_version.major, metadata.api_version.minor) == (0, 0)
    assert extension is not None  # the frame holds only its address


def test_xla_is_told_the_version():
    frame, _extension, metadata = introduction()
    refusals = []
    host_call_module._handle(frame, lambda: (), refusals)
    assert refusals == []
    assert (metadata.api_version.major, metadata.api_version.minor) == host_call_module.VERSION


def test_a_buffer_that_is_smaller_than_what_is_read_is_refused():
    buffer = host_call_module._Buffer(struct_size=40)
    with pytest.raises(TypeError, match="structure Buffer has 40 bytes, of which 48 would be read"):
        host_call_module._Buffers(size=1, buffers=ctypes.pointer(ctypes.pointer(buffer))).arrays()

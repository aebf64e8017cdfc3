"""The runtime's own machine code, made once per process: the worker pool, the grid, and the function object's entry."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass

from convjit.errors import InternalError
from convjit.runtime import argument, cache, call, execute, grid, layout, pool, relation
from convjit.runtime.assemble import CodeTarget, Library, assemble, load

TARGET = CodeTarget("x86-64")
_PARTS = (pool.POOL, grid.STEP, execute.EXECUTE, argument.CHECK, argument.ARGS, relation.RELATE, call.CALL)
TEXT = layout.expand("".join(_PARTS))

_PYTHON = [
    "PyObject_GetBuffer",
    "PyBuffer_Release",
    "PyErr_Clear",
    "PyErr_NoMemory",
    "PyTuple_GetItem",
    "PyTuple_Size",
    "PyTuple_New",
    "PyTuple_SetItem",
    "PyLong_FromSsize_t",
    "PyObject_Vectorcall",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "Py_IncRef",
    "Py_DecRef",
]
_SYSTEM = [
    "pthread_create",
    "pthread_detach",
    "pthread_sigmask",
    "syscall",
    "sched_yield",
    "aligned_alloc",
    "free",
    "memcpy",
    "memset",
]
_EXPORTS = ("convjit.call", "convjit.execute", "convjit.after_fork", "convjit.workers")


@dataclass(frozen=True)
class Native:
    """Addresses of the runtime's code. It stays loaded until the process ends: workers and fork handlers are in it."""

    call: int
    execute: int
    workers: int


_lock = threading.Lock()
_native: Native | None = None


def native() -> Native:
    """The runtime's code, assembled and loaded when it is first asked for."""
    global _native
    with _lock:
        if _native is None:
            _native = _start()
        return _native


def pool_size() -> int:
    """Workers that this process's pool has so far; 0 before the first threaded call."""
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(native().workers)())


def _start() -> Native:
    image = cache.cached(cache.key("runtime", TEXT, TARGET), lambda: assemble(TEXT, TARGET))
    library = load(image, _EXPORTS, _imports())
    library.make_immortal()
    _on_fork(library)
    return Native(*(library.address(f"convjit.{name}") for name in ("call", "execute", "workers")))


def _imports() -> dict[str, int]:
    system = ctypes.CDLL(None)
    python = {name: getattr(ctypes.pythonapi, name) for name in _PYTHON}
    functions = python | {name: getattr(system, name) for name in _SYSTEM}
    return {name: ctypes.cast(f, ctypes.c_void_p).value or 0 for name, f in functions.items()}


def _on_fork(library: Library) -> None:
    """Have the C library reset the pool in every forked child, also where C code forks."""
    system = ctypes.CDLL(None)
    handler = ctypes.c_void_p(library.address("convjit.after_fork"))
    if hasattr(system, "pthread_atfork"):
        status = system.pthread_atfork(None, None, handler)
    else:  # glibc before 2.34 has it in a static library only
        status = system.__register_atfork(None, None, handler, None)
    if status != 0:
        raise InternalError(f"pthread_atfork failed with status {status}")

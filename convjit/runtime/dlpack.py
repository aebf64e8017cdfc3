"""DLPack by hand: reading a capsule that another library made, and making one of memory that is ours.

The records are those of dlpack.h before version 1.0, which every library still gives and takes.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from convjit import dtypes

CUDA = 2
"""The number of CUDA devices; 13 is managed memory, which kernels may use too."""
CUDA_KINDS = (CUDA, 13)
_NAME = b"dltensor"
_KINDS = {0: "i", 1: "u", 2: "f", 4: "bf"}


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_kind", ctypes.c_int32),
        ("device", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("kind", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class Described(NamedTuple):
    """What a capsule says. `strides` in elements; `dtype` as convjit names it, or "kind.bits" for one that it has not."""

    address: int
    dtype: str
    bits: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    device_kind: int
    device: int


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]
_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def describe(capsule: Any) -> Described:
    """What stands in a capsule. It stays the owner: keep it as long as the memory is used."""
    tensor = _Managed.from_address(_pointer(id(capsule), _NAME)).tensor
    shape = tuple(tensor.shape[i] for i in range(tensor.rank))
    strides = tuple(tensor.strides[i] for i in range(tensor.rank)) if tensor.strides else _dense(shape)
    kind = _KINDS.get(tensor.kind, f"{tensor.kind}.")
    address = (tensor.data or 0) + tensor.offset
    return Described(address, f"{kind}{tensor.bits}", tensor.bits, shape, strides, tensor.device_kind, tensor.device)


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1]
    for extent in reversed(shape[1:]):
        strides.append(strides[-1] * extent)
    return tuple(reversed(strides)) if shape else ()


_alive: dict[int, object] = {}
"""By the address of its record: what a capsule that we gave away keeps."""


def capsule(address: int, dtype: str, shape: tuple[int, ...], device: int, owner: object) -> Any:
    """A capsule over dense memory on a CUDA device, which keeps `owner`."""
    described = dtypes.get(dtype)
    kind = 4 if dtype == "bf16" else ("int", "uint", "float").index(described.kind)
    sizes = (ctypes.c_int64 * max(1, len(shape)))(*shape)
    strides = (ctypes.c_int64 * max(1, len(shape)))(*_dense(shape))
    tensor = _Tensor(address, CUDA, device, len(shape), kind, described.bits, 1, sizes, strides, 0)
    managed = _Managed(tensor, None, ctypes.cast(_release, ctypes.c_void_p).value)
    place = ctypes.addressof(managed)
    _alive[place] = (managed, sizes, strides, owner)
    return _new(place, _NAME, ctypes.cast(_destroy, ctypes.c_void_p).value)


def _on_release(place: int) -> None:
    _alive.pop(place, None)


def _on_destroy(capsule: int) -> None:
    if _is_valid(capsule, _NAME):  # nobody has taken it over
        _alive.pop(_pointer(capsule, _NAME), None)


_release: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_on_release)
_destroy: Any = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_on_destroy)

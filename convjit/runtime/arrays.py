"""Foreign arrays without copies: an address, a type, a shape, and who may write.

NumPy, PyTorch and JAX arrays, and whatever has DLPack, an array interface or a buffer, become a `View`. Nothing is
converted: an array that does not fit is refused where it is checked.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from convjit import dtypes

NAMES = {t.numpy: t.name for t in dtypes.TYPES.values()}
_CPU, _CUDA_HOST = 1, 3
_DEVICES = {
    2: "cuda",
    4: "opencl",
    7: "vulkan",
    8: "metal",
    10: "rocm",
    13: "cuda managed memory",
    14: "oneapi",
}


class View(NamedTuple):
    """An array of one of the libraries. `strides` are in bytes; `family` is numpy, torch, cupy, numba, jax or cuda (any
    other on a GPU). `device` is the number of its GPU, -1 for the CPU; `stream` orders what is done with it there."""

    address: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    item_bytes: int
    writable: bool
    family: str
    owner: object
    device: int = -1
    stream: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of a densely packed array of this shape."""
        return math.prod(self.shape) * self.item_bytes

    @property
    def dense(self) -> bool:
        """Whether it is C-contiguous."""
        expected = self.item_bytes
        for extent, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if extent > 1 and stride != expected:
                return 0 in self.shape
            expected *= extent
        return True


def view(array: Any, name: str) -> View:
    """The view of an array named `name`. `TypeError` for what is no array, or not one in the CPU's memory."""
    if isinstance(array, np.ndarray):
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array, and its mask would be ignored; pass {name}.filled(0).")
        return _of_numpy(array, "numpy", array)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        return _of_torch(torch, array, name)
    _refuse_device(array, name)
    if _is_jax(array):
        return _of_numpy(np.asarray(array), "jax", array, writable=False)
    return _of_numpy(_as_numpy(array, name), "numpy", array)


def _of_numpy(array: np.ndarray[Any, Any], family: str, owner: object, writable: bool = True) -> View:
    return View(
        address=array.__array_interface__["data"][0],
        dtype=NAMES.get(array.dtype, str(array.dtype)),
        shape=array.shape,
        strides=array.strides,
        item_bytes=array.itemsize,
        writable=writable and array.flags.writeable,
        family=family,
        owner=(owner, array),
    )


def _of_torch(torch: Any, tensor: Any, name: str) -> View:
    if tensor.device.type != "cpu":
        raise TypeError(_elsewhere(name, str(tensor.device), f"{name}.cpu()"))
    return of_tensor(torch, tensor, name)


def of_tensor(torch: Any, tensor: Any, name: str) -> View:
    """A tensor on any device. `ValueError` for one that is not plain memory."""
    if tensor.layout != torch.strided:
        raise ValueError(f"{name} is a {tensor.layout} tensor; pass a dense one: {name}.to_dense().")
    if tensor.requires_grad and torch.is_grad_enabled():
        raise ValueError(
            f"{name} requires a gradient, and convjit computes none: pass {name}.detach(), or call under torch.no_grad()."
        )
    if tensor.is_conj() or tensor.is_neg():
        raise ValueError(f"{name} is a lazily conjugated or negated tensor; pass {name}.resolve_conj().resolve_neg().")
    item = tensor.element_size()
    return View(
        address=tensor.data_ptr(),
        dtype=_torch_names(torch).get(tensor.dtype, str(tensor.dtype)),
        shape=tuple(tensor.shape),
        strides=tuple(s * item for s in tensor.stride()),
        item_bytes=item,
        writable=True,
        family="torch",
        owner=tensor,
    )


@lru_cache(maxsize=1)
def _torch_names(torch: Any) -> dict[Any, str]:
    names = {
        "float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16", "int64": "i64", "int32": "i32",
        "int16": "i16", "int8": "i8", "uint8": "u8", "float8_e4m3fn": "f8e4m3", "float8_e5m2": "f8e5m2",
    }  # fmt: skip
    return {getattr(torch, name): ours for name, ours in names.items() if hasattr(torch, name)}


def torch_type(torch: Any, dtype: str) -> Any:
    """PyTorch's type of that name, or None."""
    return _torch_types(torch).get(dtype)


@lru_cache(maxsize=1)
def _torch_types(torch: Any) -> dict[str, Any]:
    return {name: kind for kind, name in _torch_names(torch).items()}


def _refuse_device(array: Any, name: str) -> None:
    if hasattr(array, "__cuda_array_interface__"):
        raise TypeError(_elsewhere(name, "a CUDA device", f"cupy.asnumpy({name})"))
    ask: Callable[[], tuple[int, int]] | None = getattr(array, "__dlpack_device__", None)
    if ask is None:
        return
    kind, number = ask()
    if kind not in (_CPU, _CUDA_HOST):
        raise TypeError(_elsewhere(name, f"{_DEVICES.get(kind, f'DLPack device {kind}')}:{number}", ""))


def _elsewhere(name: str, place: str, way: str) -> str:
    hint = f": {way}" if way else ""
    return f"{name} is on {place}, and this kernel runs on the CPU; copy it there{hint}, or compile for that device."


def _is_jax(array: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(array, jax.Array)


def _as_numpy(array: Any, name: str) -> np.ndarray[Any, Any]:
    """What speaks one of the protocols, as an ndarray over the same memory."""
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        try:
            return np.from_dlpack(array)
        except (BufferError, RuntimeError) as error:
            raise ValueError(f"{name} cannot be taken through DLPack: {error}.") from None
    if hasattr(array, "__array_interface__") or hasattr(array, "__array_struct__"):
        return np.asarray(array)
    try:
        return np.asarray(memoryview(array))
    except TypeError:
        raise TypeError(
            f"{name} is a {type(array).__name__}, not an array: pass a NumPy, PyTorch or JAX array, or any object "
            "with DLPack, an array interface or a buffer."
        ) from None


def new_output(family: str, dtype: str, shape: tuple[int, ...]) -> Any:
    """An uninitialised array to compute into; `finish` makes it the caller's kind of array."""
    if family == "torch":
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=torch_type(torch, dtype))
    numpy = dtypes.get(dtype).numpy
    if family == "jax":  # JAX takes memory over without a copy where it is aligned to 64 bytes
        size = math.prod(shape) * numpy.itemsize
        raw = np.empty(size + 64, np.uint8)
        start = -raw.ctypes.data % 64
        return raw[start : start + size].view(numpy).reshape(shape)
    return np.empty(shape, numpy)


def finish(family: str, output: Any) -> Any:
    """The output as an array of that family."""
    if family != "jax":
        return output
    if output.dtype.num > 255:  # no DLPack for ml_dtypes: a copy
        return sys.modules["jax"].numpy.asarray(output)
    return sys.modules["jax"].dlpack.from_dlpack(output)

"""An array of ours on a GPU, for callers who have no library for that: the command line, and JAX and Numba's results."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from convjit import dtypes
from convjit.runtime import cuda, dlpack
from convjit.runtime.cuda_memory import Memory, copy_in, copy_out


class DeviceArray:
    """A dense array on a CUDA device; what is done with it is in order on `stream`. Other libraries take it without a
    copy, through `__cuda_array_interface__` or DLPack."""

    def __init__(self, shape: tuple[int, ...], dtype: str, device: int = 0, stream: int = 0) -> None:
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.stream = stream
        self.memory = Memory(device, -(-prod(shape) * dtypes.bits(dtype) // 8))

    @classmethod
    def of(cls, array: np.ndarray[Any, Any], device: int = 0, stream: int = 0) -> DeviceArray:
        """A copy of a NumPy array."""
        dense = np.ascontiguousarray(array)
        name = next(t.name for t in dtypes.TYPES.values() if t.numpy == dense.dtype)
        made = cls(array.shape, name, device, stream)
        copy_in(device, stream, made.memory.address, dense)
        return made

    def numpy(self) -> np.ndarray[Any, Any]:
        """A copy for the processor, once all that is on the stream is done."""
        array = np.empty(self.shape, dtypes.get(self.dtype).numpy)
        copy_out(self.device, self.stream, self.memory.address, array)
        return array

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": dtypes.get(self.dtype).numpy.str,
            "data": (self.memory.address, False),
            "strides": None,
            "stream": self.stream or 1,  # 1 is the default stream there, 0 is not allowed
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, self.device

    def __dlpack__(self, *, stream: int | None = None, **_newer: Any) -> Any:
        """A capsule; what the reader starts on its stream comes after what is on ours. (-1: the reader takes care.)"""
        if stream != -1:
            reader = 0 if stream in (None, 1) else int(stream or 0)
            if reader != self.stream:
                cuda.order(self.device, self.stream, reader)
        return dlpack.capsule(self.memory.address, self.dtype, self.shape, self.device, self.memory)

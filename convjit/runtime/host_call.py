"""What calls on the processor's memory share: NumPy, PyTorch and JAX arrays there, and memory for what is bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convjit.runtime import arrays
from convjit.runtime.array_call import ArrayCall
from convjit.runtime.arrays import View
from convjit.runtime.plan import Region


class HostCall(ArrayCall):
    """Calls with arrays in the processor's memory."""

    def view(self, array: Any, name: str) -> View:
        """An array in the processor's memory."""
        return arrays.view(array, name)

    def new_output(self, like: View | None, dtype: str, shape: tuple[int, ...]) -> Any:
        """Memory for the result."""
        return arrays.new_output(_family(like), dtype, shape)

    def finish(self, like: View | None, output: Any) -> Any:
        """The result as the caller's kind of array."""
        return arrays.finish(_family(like), output)

    def memory(self, size: int, like: View | None) -> Region:
        """Memory aligned to 64 bytes."""
        raw = np.empty(size + 64, np.uint8)
        begin = raw.ctypes.data + -raw.ctypes.data % 64
        return Region(begin, begin + size, raw)

    def place(self, arrays: Sequence[Any]) -> int:
        """The processor's memory is one place."""
        return -1

    def put(self, array: np.ndarray[Any, Any], place: int) -> Any:
        """The array itself."""
        return array

    def settle(self, views: Mapping[str, View]) -> None:
        """Calls return when all is done: nothing to wait for."""


def _family(like: View | None) -> str:
    return like.family if like else "numpy"

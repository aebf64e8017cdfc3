"""Arrays whose neighbours are unmapped: one byte read or written beside them ends the process (SIGSEGV).

`at_end` ends where an unmapped page begins, `at_start` begins where one ends. The rest of the array's own pages holds a
pattern; `intact` says whether it is still there. With `writable=False` a write into the array faults, too.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

PAGE = mmap.PAGESIZE
PATTERN = 0xA5
_NONE, _READ, _WRITE = 0, 1, 2
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class GuardedMemory:
    """Pages between two unmapped ones. `array` lies at their end or at their beginning."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, end: bool) -> None:
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        self._inner = max(PAGE, -(-size // PAGE) * PAGE)
        self._map = mmap.mmap(-1, self._inner + 2 * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._begin = base + PAGE
        for outside in (base, self._begin + self._inner):
            self._protect(outside, PAGE, _NONE)
        pages = np.frombuffer(memoryview((ctypes.c_ubyte * self._inner).from_address(self._begin)), np.uint8)
        pages[:] = PATTERN
        self._slack = pages[: self._inner - size] if end else pages[size:]
        data = pages[self._inner - size :] if end else pages[:size]
        self.array: np.ndarray[Any, Any] = data.view(kind).reshape(shape)

    def intact(self) -> bool:
        """Whether nothing was written beside the array."""
        return bool((self._slack == PATTERN).all())

    def freeze(self) -> None:
        """Have every write into these pages fault."""
        self._protect(self._begin, self._inner, _READ)

    def _protect(self, address: int, size: int, how: int) -> None:
        if _libc.mprotect(address, size, how) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")


def at_end(shape: tuple[int, ...], dtype: DTypeLike) -> GuardedMemory:
    """Memory for an array that ends at an unmapped page. Keep it for as long as the array is used."""
    return GuardedMemory(shape, dtype, end=True)


def at_start(shape: tuple[int, ...], dtype: DTypeLike) -> GuardedMemory:
    """Memory for an array that begins after an unmapped page. Keep it for as long as the array is used."""
    return GuardedMemory(shape, dtype, end=False)


def copy(values: ArrayLike, end: bool = True, writable: bool = True) -> GuardedMemory:
    """A guarded copy of an array."""
    source = np.asarray(values)
    memory = GuardedMemory(source.shape, source.dtype, end)
    memory.array[...] = source
    if not writable:
        memory.freeze()
    return memory

"""Where arrays lie in memory, for everybody alike, so that chance takes no part in a measurement.

Two arrays that begin at the same place of a page make a processor compare every load from one with the stores to the
other that are still on their way, and wait (Intel's optimisation manual calls it 4-KByte aliasing). NumPy's large arrays
all begin 16 bytes into a page. On layers with a power of two of channels this alone makes a factor of three. Pages of
4 KiB add a lottery of their own: which sets of the second-level cache an array falls into.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from math import prod
from mmap import MADV_HUGEPAGE, mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

HUGE = 2 << 20
"""Bytes of a large page."""

STEP = 24 * 64
"""Bytes by which each array begins further into its page than the one before: whole cache lines; 8 different places."""

_numbers = count()


def empty(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Array:
    """An array in large pages of its own, if the system gives such, that begins with a cache line."""
    kind = np.dtype(dtype)
    size = prod(shape) * kind.itemsize
    memory = mmap(-1, -(-(size + 8 * STEP) // HUGE) * HUGE + HUGE)
    with suppress(OSError):  # a system without large pages
        memory.madvise(MADV_HUGEPAGE)
    bytes_ = np.frombuffer(memory, np.uint8)
    start = -bytes_.ctypes.data % HUGE + next(_numbers) % 8 * STEP
    return bytes_[start : start + size].view(kind).reshape(shape)


def aligned(array: Array) -> Array:
    """A copy in such memory, row-major."""
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy

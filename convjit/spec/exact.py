"""Exact products of integer matrices, at the speed of floating-point ones where that is exact too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT = 2**53  # float64 holds every integer up to here


def multiply_exact(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int64]:
    """a (..., m, k) times b (..., k, n), both int64 with 32-bit values, modulo 2^64.

    Where no partial sum can leave the integers that float64 holds, one float64 product does. Otherwise both are split
    into 16-bit halves, a = high 2^16 + low, whose products are far from that bound.
    """
    if a.size == 0 or b.size == 0 or _greatest(a) * _greatest(b) * a.shape[-1] < EXACT:
        return _multiply(a, b)
    (a1, a0), (b1, b0) = _halves(a), _halves(b)
    middle = _multiply(a1, b0) + _multiply(a0, b1)
    return (_multiply(a1, b1) << 32) + (middle << 16) + _multiply(a0, b0)


def _multiply(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int64]:
    product: NDArray[np.int64] = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
    return product


def _greatest(a: NDArray[Any]) -> int:
    return max(abs(int(a.min())), abs(int(a.max())))


def _halves(a: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return a >> 16, a & 0xFFFF

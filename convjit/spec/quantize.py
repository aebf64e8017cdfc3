"""Rounding, and the way from real numbers to stored integers.

`onnx` follows QuantizeLinear of the ONNX standard: q = saturate(round_half_even(real / scale) + zero), in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes

ROUNDINGS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "toward_zero": np.trunc,
    "half_even": np.rint,
    "half_away": lambda v: np.copysign(np.floor(np.abs(v.astype(np.float64)) + 0.5), v),
    "floor": np.floor,
}
"""What each `round` word does to an array of floats; adding a half is exact in float64."""


def to_integers(values: NDArray[Any], scale: float, dtype: str, rounding: str) -> NDArray[np.int64]:
    """`compute`: round(float32(v * scale)), saturated to the type's limits; NaN becomes 0."""
    low, high = dtypes.limits(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values.astype(np.float32) * np.float32(scale)
        rounded = ROUNDINGS[rounding](scaled)
    whole: NDArray[np.int64] = np.clip(np.nan_to_num(rounded, nan=0.0), low, high).astype(np.int64)
    return whole


def onnx(real: NDArray[Any], scale: float, zero: int, dtype: str) -> NDArray[Any]:
    """Quantise to `dtype` by ONNX's QuantizeLinear: the zero point is added after rounding."""
    low, high = dtypes.limits(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.rint(real.astype(np.float32) / np.float32(scale))
    whole = np.clip(np.nan_to_num(rounded, nan=0.0), -(2.0**40), 2.0**40).astype(np.int64) + zero
    stored: NDArray[Any] = np.clip(whole, low, high).astype(dtypes.get(dtype).numpy)
    return stored

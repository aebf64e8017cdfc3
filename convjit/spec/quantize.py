"""From real numbers to the numbers that `compute` multiplies: integers by a scale, or a narrower float.

Every formula stands in docs/quantisation.md; the way back from sums over quantised tensors is `requantize`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes

Scale = float | NDArray[Any]
"""What real numbers are multiplied by: a number, or an array that is broadcast beside them."""

ROUNDINGS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "toward_zero": np.trunc,
    "half_even": np.rint,
    "half_away": lambda v: np.copysign(np.floor(np.abs(v) + 0.5), v),
    "floor": np.floor,
}
"""What each `round` word does to an array of float64 that hold numbers of float32: adding a half to those is exact."""

LEAST_NORMAL = np.float32(2.0**-126)
"""The least positive float32, and the least positive bf16, that is not denormal."""


def to_integers(values: NDArray[Any], scale: Scale, dtype: str, rounding: str) -> NDArray[np.int64]:
    """round(float32(v * scale)), saturated to the limits of `dtype`; NaN becomes 0.

    `values` of any shape are taken as float32, and so is the scale (a number, or an array that is broadcast). The ends
    are met after rounding, in float64: float32 has no 2^31 - 1, the upper end of i32.
    """
    return saturated(rounded(values, scale, rounding), dtype)


def rounded(values: NDArray[Any], scale: Scale, rounding: str) -> NDArray[np.float64]:
    """round(float32(v * scale)), not saturated yet."""
    scaled = values.astype(np.float32) * np.asarray(scale, np.float32)
    return ROUNDINGS[rounding](scaled.astype(np.float64))


def saturated(whole: NDArray[np.float64], dtype: str) -> NDArray[np.int64]:
    """Whole numbers at the limits of `dtype` where they lie beyond; NaN becomes 0."""
    low, high = dtypes.limits(dtype)
    return np.where(np.isnan(whole), 0.0, np.clip(whole, low, high)).astype(np.int64)


def to_real(total: NDArray[np.int64], x: Scale, w: Scale) -> NDArray[np.float32]:
    """What a sum over such integers stands for: float32(sum) / (scale_x * scale_w), product and quotient in float32.

    Scales are numbers, or arrays that are broadcast.
    """
    real: NDArray[np.float32] = total.astype(np.float32) / (np.asarray(x, np.float32) * np.asarray(w, np.float32))
    return real


def narrowed(values: NDArray[Any], dtype: str) -> NDArray[np.float64]:
    """The nearest numbers of bf16 or f16, a tie to the even one; what is beyond the type's range becomes infinite.

    `values` of any shape are taken as float32. For bf16 denormal numbers become zeros of their sign, before anything is
    rounded, as VCVTNEPS2BF16 and VDPBF16PS of AVX512_BF16 do (Intel's Software Developer's Manual, volume 2).
    """
    single = values.astype(np.float32)
    if dtype == "bf16":
        single = np.where(np.abs(single) < LEAST_NORMAL, np.copysign(np.float32(0), single), single)
    return single.astype(dtypes.get(dtype).numpy).astype(np.float64)

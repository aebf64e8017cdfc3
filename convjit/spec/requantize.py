"""From exact sums over quantised tensors to the integers that are stored: the six profiles of `requantize`.

docs/quantisation.md writes each of them out and names its source. Sums are int64 arrays that hold numbers of the
accumulator's type, with the output channels along their last axis; sx, sw and sy are the scales of input, weight and
output as float32, sw a scalar or a vector over the output channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec import words
from convjit.spec.conv import ConvSpec
from convjit.spec.functions import FUNCTIONS
from convjit.spec.tensor import Tensor, Then

Array = NDArray[Any]

ENDS = {"relu": (0.0, inf), "relu6": (0.0, 6.0)}
"""The ends of the steps that only compare, beside those of `clip`, which stand in its clause."""


@dataclass(frozen=True)
class Stored:
    """What an output's integers stand for, real = (q - zero) * scale, and the least and the greatest of them."""

    scale: np.float32
    zero: int
    low: int
    high: int

    @classmethod
    def of(cls, output: Tensor) -> Stored:
        """That of an output with a scale."""
        assert isinstance(output.scale, float) and not isinstance(output.zero, str)
        return cls(np.float32(output.scale), output.zero or 0, *dtypes.limits(output.dtype))


# --- from real numbers


def real_values(total: Array, sx: Array, sw: Array) -> Array:
    """float32(sum) * (sx * sw): the real numbers before a float bias and the steps, in float32."""
    real: Array = total.astype(np.float32) * (sx * sw)
    return real


def from_real(profile: str, real: Array, y: Stored) -> NDArray[np.int64]:
    """The stored integers of real numbers in float32, by a profile that is not of TensorFlow Lite."""
    return _FROM_REAL[profile](real, y)


def _zero_after(t: Array, y: Stored) -> NDArray[np.int64]:
    """Round, then add the zero point: t = real / sy."""
    return _clamp(np.rint(t), y.low - y.zero, y.high - y.zero).astype(np.int64) + y.zero


def _stablehlo(real: Array, y: Stored) -> NDArray[np.int64]:
    return np.rint(_clamp(real / y.scale + np.float32(y.zero), y.low, y.high)).astype(np.int64)


def _onednn(real: Array, y: Stored) -> NDArray[np.int64]:
    inverse = np.float32(1) / y.scale
    return _clamp(np.rint(real * inverse + np.float32(y.zero)), y.low, y.high).astype(np.int64)


_FROM_REAL: dict[str, Callable[[Array, Stored], NDArray[np.int64]]] = {
    "onnx": lambda real, y: _zero_after(real / y.scale, y),
    "xnnpack": lambda real, y: _zero_after(real / y.scale, y),
    "stablehlo": _stablehlo,
    "onednn": _onednn,
}


def _clamp(v: Array, low: int, high: int) -> Array:
    """Into low..high, in float64, which unlike float32 has the ends of i32. NaN, not above anything, gives `low`."""
    v = v.astype(np.float64)
    v = np.where(low < v, v, np.float64(low))
    return np.where(high < v, np.float64(high), v)


# --- in one multiplication


def takes_one_factor(spec: ConvSpec) -> bool:
    """Whether a single factor leads from the sum to units of the output."""
    compares = all(step.op in words.COMPARING_STEPS for step in spec.then)
    return spec.requantize in (None, "onnx", "xnnpack") and compares and not adds_real_bias(spec)


def adds_real_bias(spec: ConvSpec) -> bool:
    """Whether the bias is a real number, which joins after the sum was scaled."""
    return spec.input.quantised and spec.bias is not None and dtypes.is_float(spec.bias.dtype)


def one_factor(sx: Array, sw: Array, y: Stored) -> Array:
    """(sx * sw) / sy, both operations in float32."""
    factor: Array = (sx * sw) / y.scale
    return factor


def by_one_factor(total: Array, sx: Array, sw: Array, then: Sequence[Then], y: Stored) -> NDArray[np.int64]:
    """The stored integers where the steps only compare: they act in units of the output."""
    t = total.astype(np.float32) * one_factor(sx, sw, y)
    for step in then:
        low, high = (np.float32(end) / y.scale for end in ends(step))
        t = FUNCTIONS["clip"](t, low, high)
    return _zero_after(t, y)


def ends(step: Then) -> tuple[float, float]:
    """The least and the greatest real number that a comparing step lets through."""
    if step.op in ENDS:
        return ENDS[step.op]
    low, high = step.args
    return float(low), float(high)


# --- in integers


def in_integers(profile: str, total: Array, sx: Array, sw: Array, then: Sequence[Then], y: Stored) -> NDArray[np.int64]:
    """The stored integers by a profile of TensorFlow Lite: sums of 32 bits, steps that compare, no float anywhere."""
    m, e = fixed_point(sx.astype(np.float64) * sw.astype(np.float64) / np.float64(y.scale))
    scaled = _wrapped({"tflite_single": _single, "tflite_double": _double}[profile](total, m, e))
    stored: NDArray[np.int64] = np.clip(scaled + y.zero, *narrowed(then, y))
    return stored


def fixed_point(factor: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(m, e) with factor nearly m 2^(e - 31), m of 31 bits: QuantizeMultiplier of TensorFlow Lite."""
    fraction, exponent = np.frexp(factor)
    m, e = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64), exponent.astype(np.int64)
    m, e = np.where(m == 2**31, 2**30, m), np.where(m == 2**31, e + 1, e)
    m, e = np.where(e < -31, 0, m), np.where(e < -31, 0, e)
    return np.where(e > 30, 2**31 - 1, m), np.where(e > 30, 30, e)


def narrowed(then: Sequence[Then], y: Stored) -> tuple[int, int]:
    """The least and the greatest integer that is stored, after steps that compare."""
    low, high = y.low, y.high
    for step in then:
        least, most = (_quantised(end, y) for end in ends(step))
        low, high = min(max(low, least), most), min(max(high, least), most)
    return low, high


def _quantised(end: float, y: Stored) -> int:
    """zero + end / sy, rounded half away from zero in float64; within the output's type."""
    steps = np.float64(end) / np.float64(y.scale)
    return int(np.clip(np.copysign(np.floor(np.abs(steps) + 0.5), steps) + y.zero, y.low, y.high))


def _single(total: Array, m: Array, e: Array) -> Array:
    """One rounding, half towards +infinity."""
    scaled: Array = (total * m + (np.int64(1) << (30 - e))) >> (31 - e)
    return scaled


def _double(total: Array, m: Array, e: Array) -> Array:
    """Two roundings: a product of 31 bits half towards +infinity, then a shift half away from zero."""
    h = (_wrapped(total << np.maximum(e, 0)) * m + 2**30) >> 31
    r = np.maximum(-e, 0)
    rest = (np.int64(1) << r) - 1
    return (h >> r) + ((h & rest) > (rest >> 1) + (h < 0))


def _wrapped(v: Array) -> Array:
    """Modulo 2^32, as a signed number."""
    return v.astype(np.int32).astype(np.int64)

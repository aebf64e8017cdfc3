"""Scales and zero points of a tensor from its numbers: real = (q - zero) step.

A range of real numbers low..high is laid on the integers qlow..qhigh of a type (or of the range that the tensor promises):

    symmetric    step = max(|low|, |high|) / min(-qlow, qhigh), zero = 0: the least integer of a signed type stays unused
                 (the weights of TensorFlow Lite's 8-bit specification). An unsigned type has step = high / qhigh and zero = 0
                 where no number is negative, otherwise zero in the middle: (qlow + qhigh + 1) / 2.
    otherwise    low = min(low, 0), high = max(high, 0), so that 0 is exact; step = (high - low) / (qhigh - qlow),
                 zero = rint(qlow - low / step), as Jacob et al., Quantization and Training of Neural Networks for Efficient
                 Integer-Arithmetic-Only Inference, CVPR 2018, section 3, nudge it.

Steps are numbers of float32, written as the shortest decimal that reads back as the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Ends:
    """The integers that a tensor may hold."""

    low: int
    high: int


@dataclass(frozen=True)
class Grid:
    """The step and the zero point of a tensor: one for all of it, or arrays with one for each output channel."""

    step: Array
    zero: Array

    def times(self, factor: float | Array) -> Grid:
        """With a step so many times as long, and the same zero point."""
        return Grid(shortest(self.step * factor), self.zero)


def grid(low: Array, high: Array, ends: Ends, symmetric: bool) -> Grid:
    """The grid of a range of real numbers (or of one range for each output channel)."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if not symmetric:
        return _with_zero(np.minimum(low, 0.0), np.maximum(high, 0.0), ends)
    if ends.low < 0:
        return Grid(shortest(np.maximum(np.abs(low), np.abs(high)) / min(-ends.low, ends.high)), np.zeros_like(low, np.int64))
    if not (low < 0).any():
        return Grid(shortest(high / ends.high), np.zeros_like(low, np.int64))
    middle = (ends.low + ends.high + 1) // 2
    step = np.maximum(np.abs(low), np.abs(high)) / (ends.high - middle)
    return Grid(shortest(step), np.full_like(low, middle, np.int64))


def _with_zero(low: Array, high: Array, ends: Ends) -> Grid:
    step = (high - low) / (ends.high - ends.low)
    safe = np.where(step > 0, step, 1.0)
    zero = np.clip(np.rint(ends.low - low / safe), ends.low, ends.high)
    return Grid(shortest(step), zero.astype(np.int64))


def with_step(step: Array, low: Array, high: Array, ends: Ends, symmetric: bool) -> Grid:
    """The grid of a given step. A zero point from the data lays the middle of the range on the middle of the integers, or
    as near to it as keeps 0 exact."""
    if symmetric:
        return Grid(shortest(step), grid(low, high, ends, symmetric).zero)
    middle = (np.minimum(low, 0.0) + np.maximum(high, 0.0)) / 2
    zero = np.clip(np.rint((ends.low + ends.high) / 2 - middle / step), ends.low, ends.high)
    return Grid(shortest(step), zero.astype(np.int64))


def shortest(step: Array) -> NDArray[np.float64]:
    """Numbers of float32, each as the float64 with the fewest decimal digits that is rounded to it; those beyond float32 as
    its greatest, which no scale can be."""
    single = np.minimum(step, np.finfo(np.float32).max).astype(np.float32)
    digits = [float(str(value)) for value in single.ravel()]
    return np.array(digits, np.float64).reshape(single.shape)


def stored(values: Array, made: Grid, ends: Ends, axis: int | None = None) -> NDArray[np.int64]:
    """clamp(rint(v / step) + zero), quotient and rounding in float32: ONNX's QuantizeLinear. `axis` is that of the output
    channels, where the grid has a step for each of them."""
    step, zero = (along(part, values.ndim, axis) for part in (made.step, made.zero))
    with np.errstate(over="ignore"):
        whole = np.rint(values.astype(np.float32) / step.astype(np.float32)).astype(np.float64) + zero
    whole_numbers: NDArray[np.int64] = np.clip(whole, ends.low, ends.high).astype(np.int64)
    return whole_numbers


def along(part: Array, rank: int, axis: int | None) -> Array:
    """A vector over the output channels, shaped to stand beside an array of that rank; a number as it is."""
    if part.ndim == 0 or axis is None:
        return part
    return part.reshape([-1 if i == axis else 1 for i in range(rank)])

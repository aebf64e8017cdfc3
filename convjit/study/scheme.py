"""What a pair of grids, for input and weight, does to a convolution: its integers, its result, its error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec import quantize, requantize
from convjit.study.grid import Array, Ends, Grid, along, grid, shortest, stored
from convjit.study.layer import Layer
from convjit.study.ranges import Range
from convjit.study.vcurve import quantised

Grids = tuple[Grid, Grid]
"""Of the input and of the weight."""


@dataclass(frozen=True)
class Scheme(ABC):
    """How the numbers of a layer become integers. `ends` and `symmetric` are those of input and weight."""

    data: Layer
    ends: tuple[Ends, Ends]
    symmetric: tuple[bool, bool]
    per_channel: bool

    @abstractmethod
    def result(self, grids: Grids) -> NDArray[np.float32]:
        """The convolution that these grids give, in the output's order of axes."""

    @cached_property
    def axis(self) -> int | None:
        """The weight's axis of output channels, where each has a grid of its own."""
        return self.data.spec.weight.axes.index("OC") if self.per_channel else None

    @cached_property
    def out_axis(self) -> int:
        """The output's axis of channels."""
        return self.data.spec.output.axes.index("OC")

    def grid(self, which: int, found: Range, factor: float | Array = 1.0) -> Grid:
        """The grid of the input (0) or the weight (1) over a range, made so many times as wide."""
        low, high = found
        return grid(low * factor, high * factor, self.ends[which], self.symmetric[which])

    def errors(self, grids: Grids) -> NDArray[np.float64]:
        """The mean square error of each output channel."""
        gap = self.result(grids).astype(np.float64) - self.data.wanted
        others = tuple(i for i in range(gap.ndim) if i != self.out_axis)
        return np.asarray(np.mean(gap**2, axis=others), np.float64)

    def nrmse(self, grids: Grids) -> float:
        """The normalised root mean square error of the whole."""
        return self.data.difference(self.result(grids)).nrmse


@dataclass(frozen=True)
class Computed(Scheme):
    """`compute` in integers: factors instead of steps, no zero points, and a rounding of its own."""

    dtype: str
    rounding: str

    @staticmethod
    def factor(made: Grid) -> NDArray[np.float64]:
        """What numbers are multiplied by."""
        return shortest(1.0 / made.step)

    def result(self, grids: Grids) -> NDArray[np.float32]:
        """float32(sum) / float32(scale_x * scale_w)."""
        fx, fw = map(self.factor, grids)
        x, _ = quantised(self.data.x, fx, self.dtype, self.rounding)
        w, _ = quantised(self.data.w, along(fw, self.data.w.ndim, self.axis), self.dtype, self.rounding)
        total = self.data.sums(x, w)
        return quantize.to_real(total, fx, along(fw, total.ndim, self.out_axis))


@dataclass(frozen=True)
class Stored(Scheme):
    """Tensors that are stored as integers: the sum of (x - zero_x) (w - zero_w), times the product of the steps."""

    def result(self, grids: Grids) -> NDArray[np.float32]:
        """float32(sum) * (step_x * step_w): the real value before a bias, the steps and the output's own scale."""
        (gx, gw), (ends_x, ends_w) = grids, self.ends
        x = stored(self.data.x, gx, ends_x) - gx.zero
        w = stored(self.data.w, gw, ends_w, self.axis) - along(gw.zero, self.data.w.ndim, self.axis)
        total = self.data.sums(x, w)
        beside = along(gw.step, total.ndim, self.out_axis).astype(np.float32)
        real: NDArray[np.float32] = requantize.real_values(total, gx.step.astype(np.float32), beside)
        return real


def ends_of(dtype: str, in_range: tuple[int, int] | None = None) -> Ends:
    """The integers of a type, or the fewer that a tensor promises."""
    return Ends(*(in_range or dtypes.limits(dtype)))


def greatest_integer(scheme: Scheme, which: int, values: NDArray[Any]) -> int:
    """The integer that the largest absolute value of a tensor may reach from its zero point."""
    low, high = scheme.ends[which].low, scheme.ends[which].high
    if not scheme.symmetric[which] or low < 0 or not (values < 0).any():
        return max(high, 1)
    return high - (low + high + 1) // 2

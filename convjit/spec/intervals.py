"""Interval arithmetic over the weights at hand: what sums of products can be, for every input that keeps its promise.

A product is x' w', and x' is any number of an interval that contains 0, since a tap outside the image is left out and a
masked one reads 0. With an interval low..high, a sum over some products lies between

    low sum max(w', 0) + high sum min(w', 0)    and    high sum max(w', 0) + low sum min(w', 0).

Both ends are attained, and sums of fewer of the products lie between them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import InternalError
from convjit.spec import layout
from convjit.spec.conv import ConvSpec

Array = NDArray[Any]
Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class View:
    """The factors as a kernel may hold them: x' in low..high (0 is among them), w' as (OC, taps, IC).

    Taps stand in row-major order of the kernel, IC are the channels of a group. A pair step is two neighbouring
    channels 2j, 2j + 1 of one tap and output channel; a last channel without a neighbour is paired with 0.
    """

    name: str
    low: int
    high: int
    weight: Whole

    @cached_property
    def weight_range(self) -> tuple[int, int]:
        """Least and greatest w'."""
        return int(self.weight.min()), int(self.weight.max())

    def fits(self, x: str, w: str) -> bool:
        """Whether x' and w' are numbers of these types."""
        return _inside((self.low, self.high), x) and _inside(self.weight_range, w)

    @property
    def bytes(self) -> bool:
        """Whether one factor is u8 and the other i8, as `vpmaddubsw` and `vpdpbusd` want them."""
        return self.fits("u8", "i8") or self.fits("i8", "u8")

    @property
    def words(self) -> bool:
        """Whether both factors are i16, as `vpmaddwd` and `vpdpwssd` want them."""
        return self.fits("i16", "i16")

    @property
    def small(self) -> bool:
        """Whether sums of two products fit 62 bits; where they do not, one of them is larger than 2^60."""
        plus, minus = self.signed_parts
        return max(-self.low, self.high) * max(int(plus.max()), -int(minus.min())) < 2**60

    @cached_property
    def signed_parts(self) -> tuple[Whole, Whole]:
        """Of each pair step the sum of its positive and that of its negative w', both (OC, taps, ceil(IC / 2))."""
        return _paired(np.maximum(self.weight, 0)), _paired(np.minimum(self.weight, 0))

    @cached_property
    def pair_bounds(self) -> tuple[Whole, Whole]:
        """Least and greatest sum of each pair step, both (OC, taps, ceil(IC / 2)); they must fit 62 bits."""
        if not self.small:
            raise InternalError(f"the view '{self.name}' holds factors whose products need more than 62 bits")
        plus, minus = self.signed_parts
        return self.low * plus + self.high * minus, self.high * plus + self.low * minus


def views(spec: ConvSpec, weight: Array, zero: Array | None = None) -> tuple[View, ...]:
    """The views that kernels may choose from.

    `plain`: both factors as stored. `centred`: less their zero points, where there are any. `shifted`: the weight as
    stored, an input of 8 bits moved by 128 into the other 8-bit type (i8 to u8, u8 to i8). `weight` is in its declared
    order of axes, `zero` the weight's vector of zero points (OC) if it has one.
    """
    low, high = stored(spec)
    w = _factors(spec, weight)
    found = [_view("plain", low, high, w)]
    if spec.input.zero or spec.weight.zero:
        of_x = int(spec.input.zero or 0)
        of_w = np.asarray(int(spec.weight.zero or 0) if zero is None else zero, np.int64).reshape(-1, 1, 1)
        found.append(_view("centred", low - of_x, high - of_x, w - of_w))
    if dtypes.bits(spec.input.dtype) == 8:
        shift = 128 if dtypes.is_signed(spec.input.dtype) else -128
        found.append(_view("shifted", low + shift, high + shift, w))
    return tuple(found)


def declared(spec: ConvSpec) -> tuple[int, int]:
    """What the input's values are promised to be: its range, or all of its type."""
    return spec.input.in_range or dtypes.limits(spec.input.dtype)


def stored(spec: ConvSpec) -> tuple[int, int]:
    """The declared range, and the value of padded cells (and those between the input's of a transposed convolution)."""
    low, high = declared(spec)
    if not spec.transposed and not any(amount for pair in spec.pad for amount in pair):
        return low, high
    padding = int(spec.input.zero or 0)
    return min(low, padding), max(high, padding)


def unsafe_pairs(view: View) -> NDArray[np.bool_]:
    """Which pair steps could leave 16 bits, where `vpmaddubsw` saturates; (OC, taps, ceil(IC / 2))."""
    low, high = view.pair_bounds
    outside: NDArray[np.bool_] = (low < -(2**15)) | (high >= 2**15)
    return outside


def widest_chunk(view: View, bits: int, multiple: int = 1) -> int:
    """The most pair steps, whole taps or some `multiple`, that can be added up in signed `bits`; 0 where none can.

    Chunks begin at multiples of their width from the first channel of each tap; the last one of a tap may be shorter.
    Whether a width fits says nothing about narrower ones that cut elsewhere, so they are tried from above, beginning
    with the widest that has chunks enough for the largest tap.
    """
    if not view.small or not _within(view.pair_bounds, bits):
        return 0
    low, high = view.pair_bounds
    taps, steps = (_exact(low).sum(-1), _exact(high).sum(-1)), int(high.shape[-1])
    if _within(taps, bits):
        return steps
    limit = 1 << (bits - 1)
    chunks = max(-(-int(taps[1].max()) // (limit - 1)), -(int(taps[0].min()) // limit))
    first, second = _running(low), _running(high)
    widths = range((steps - 1) // (chunks - 1), 0, -1)
    wanted = (n for n in widths if n % multiple == 0)
    return next((n for n in wanted if _within((_gains(first, n), _gains(second, n)), bits)), 0)


def widest_taps(view: View, bits: int) -> int:
    """The most consecutive taps, beginning anywhere, that can be added up in signed `bits`; 0 where not one can."""
    if not view.small:
        return 0
    low, high = (_running(_exact(bound).sum(-1)) for bound in view.pair_bounds)
    fits, fails = 0, high.shape[0]
    while fails - fits > 1:
        n = (fits + fails) // 2
        inside = _within((low[n:] - low[:-n], high[n:] - high[:-n]), bits)
        fits, fails = (n, fails) if inside else (fits, n)
    return fits


def sum_bounds(view: View, addends: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Least and greatest partial sum for each output channel: over any products, with its addend or before it.

    These are Python's integers, since sums of products of 32 bits may need more than 64.
    """
    plus, minus = (part.sum((1, 2)).tolist() for part in view.signed_parts)
    ends = [(view.low * p + view.high * m, view.high * p + view.low * m) for p, m in zip(plus, minus, strict=True)]
    lows = tuple(low + min(b, 0) for (low, _), b in zip(ends, addends, strict=True))
    return lows, tuple(high + max(b, 0) for (_, high), b in zip(ends, addends, strict=True))


def _view(name: str, low: int, high: int, weight: Whole) -> View:
    return View(name, min(low, 0), max(high, 0), weight)


def _factors(spec: ConvSpec, weight: Array) -> Whole:
    order = layout.permutation(spec.weight.axes, ("OC", *layout.kernel_axes(spec.spatial), "IC"))
    ordered = np.ascontiguousarray(weight.transpose(order)).astype(np.int64)
    return ordered.reshape(spec.out_channels, -1, spec.ic_per_group)


def _inside(ends: tuple[int, int], dtype: str) -> bool:
    low, high = dtypes.limits(dtype)
    return low <= ends[0] and ends[1] <= high


def _paired(parts: Whole) -> Whole:
    """(…, IC) to the sums of neighbours (…, ceil(IC / 2))."""
    sums = parts[..., ::2].copy()
    sums[..., : parts.shape[-1] // 2] += parts[..., 1::2]
    return sums


def _exact(values: Whole) -> Array:
    """The values, as Python's integers where sums along the last axis may need more than 62 bits."""
    most = max(int(values.max()), -int(values.min())) * values.shape[-1]
    return values if most < 2**61 else values.astype(object)


def _running(values: Array) -> Array:
    """Sums up to each place of the last axis, from 0 on: (…, n) to (n + 1, rows)."""
    rows = _exact(values).reshape(-1, values.shape[-1])
    sums = np.zeros((rows.shape[1] + 1, rows.shape[0]), rows.dtype)
    np.cumsum(rows.T, axis=0, out=sums[1:])
    return sums


def _gains(running: Array, width: int) -> Array:
    """What running sums gain in each chunk: (n + 1, rows) to (chunks, rows)."""
    last = running.shape[0] - 1
    gains: Array = np.diff(running[[*range(0, last, width), last]], axis=0)
    return gains


def _within(ends: tuple[Array, Array], bits: int) -> bool:
    """Whether all lower and upper ends are signed numbers of that width."""
    limit = 1 << (bits - 1)
    return int(ends[0].min()) >= -limit and int(ends[1].max()) < limit

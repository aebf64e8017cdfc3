"""Scales of a layer from the inputs that it meets: what the integers of an arithmetic stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from convjit import dtypes
from convjit.errors import ConvError, did_you_mean
from convjit.front.arithmetic import PER_CHANNEL, Array, Scales
from convjit.spec.conv import ConvSpec

METHODS = ("mse", "minmax", "percentile")
PERCENTILE = 99.99
"""Of magnitudes: what lies beyond is clamped by the method `percentile`."""
BINS = 4096
"""Of the histogram that a range is chosen from; its ends are those of all numbers."""
HEADROOM = {"i16": 2.0}
"""How much larger than every input seen an input may be before it is clamped. With 16 bits a bit less of rounding costs nothing next to
an unseen number that is clamped; 8 bits have none to spare, and `i32` is scaled far below its limits."""
SHARES = np.linspace(1.0, 0.2, 41)
"""Parts of the whole range that `mse` tries."""
SOUND = (2.0**-60, 2.0**60)
"""A factor, and a product of two, is far inside of float32."""


def known_method(method: str) -> str:
    """The name itself. `ConvError` for one that is none of METHODS."""
    if method not in METHODS:
        hint = did_you_mean(method, METHODS) or f"There are {', '.join(METHODS)}."
        raise ConvError.of(f"Unknown method of calibration '{method}'.", hint=hint)
    return method


def scales(spec: ConvSpec, x: Sequence[Array], w: Array, arithmetic: str, method: str = "mse") -> Scales:
    """The scales of a layer in an arithmetic that multiplies integers.

    `x`: inputs that the layer met while calibrating, `w`: its weight, both as `spec` declares them. `minmax` covers every number,
    `percentile` all but the largest 0.01 %, `mse` the range whose rounding and clamping give the least mean square error of the tensor
    itself (Choukroun et al., arXiv:1902.06822). Each tensor is looked at alone. Raises `ConvError` for an unknown method.
    """
    known_method(method)
    if arithmetic == PER_CHANNEL:
        return _per_channel(x, w, method)
    top = _top(spec, arithmetic)
    return Scales(_factor(x, top / HEADROOM.get(arithmetic, 1.0), method), (_factor([w], top, method),))


def _top(spec: ConvSpec, arithmetic: str) -> float:
    """The integer that the end of a range becomes. i32: float32 holds no more than 24 bits, and sums must fit into 64."""
    if arithmetic != "i32":
        return float(dtypes.limits(arithmetic)[1])
    products = spec.ic_per_group * int(np.prod(spec.kernel_size))
    return float(min(2**24, int(sqrt(2**62 / products))))


@dataclass(frozen=True)
class Spread:
    """How the finite numbers of some arrays are spread from `low` to `high`: the middles of bins, and the numbers in each."""

    low: float
    high: float
    middles: Array
    counts: Array

    def error(self, step: float, low: float, high: float) -> float:
        """The sum of squares of what rounding to multiples of `step` and clamping to `low`..`high` change."""
        kept = np.clip(np.rint(self.middles / step) * step, low, high)
        return float(np.sum(self.counts * (kept - self.middles) ** 2))

    def below(self, percent: float) -> float:
        """The end of the bin up to which lies this share of all numbers."""
        reached = np.searchsorted(np.cumsum(self.counts), self.counts.sum() * percent / 100)
        width = (self.high - self.low) / BINS
        return self.low + width * (int(reached) + 1)


def spread(arrays: Sequence[Array]) -> Spread:
    """The spread of all arrays' numbers, with 0 among them."""
    kept = [a[np.isfinite(a)] for a in arrays]
    low = min([0.0, *(float(a.min(initial=0.0)) for a in kept)])
    high = max([0.0, *(float(a.max(initial=0.0)) for a in kept)])
    ends = np.linspace(low, high, BINS + 1)
    counts = np.zeros(BINS)
    if high > low:
        for a in kept:
            counts += np.histogram(a, BINS, (low, high))[0]
    return Spread(low, high, (ends[1:] + ends[:-1]) / 2, counts)


def _factor(arrays: Sequence[Array], top: float, method: str) -> float:
    """What the numbers are multiplied by, so that the end of their range, the same on both sides of 0, becomes `top`."""
    found = spread([np.abs(a) for a in arrays])
    largest = found.high
    if not largest:
        return 1.0
    if method == "percentile":
        largest = found.below(PERCENTILE)
    if method == "mse":
        largest *= min(SHARES, key=lambda s: found.error(largest * s / top, 0.0, largest * s))
    return _sound(top / largest)


def _per_channel(x: Sequence[Array], w: Array, method: str) -> Scales:
    """Input: the range with 0 in it on 0..255. Weight: each output channel's largest magnitude on 127."""
    found = spread(x)
    low, high = found.low, found.high
    if method == "percentile" and high > low:
        low, high = min(0.0, found.below(100 - PERCENTILE)), max(0.0, found.below(PERCENTILE))
    elif method == "mse" and high > low:
        share = min(SHARES, key=lambda s: found.error((high - low) * s / 255, low * s, high * s))
        low, high = low * share, high * share
    factor = _sound(255 / (high - low)) if high > low else 1.0
    zero = int(np.clip(np.rint(-low * factor), 0, 255))
    return Scales(factor, tuple(_factor([row], 127.0, "minmax") for row in w), zero)


def _sound(factor: float) -> float:
    return float(np.float32(min(max(factor, SOUND[0]), SOUND[1])))

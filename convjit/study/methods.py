"""The ways to choose the grids of input and weight: docs/calibration.md writes each of them out and names its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit.errors import ConvError
from convjit.study import ranges
from convjit.study.grid import Array, Grid, shortest, with_step
from convjit.study.scheme import Grids, Scheme, greatest_integer
from convjit.study.vcurve import LEAST, MOST, check_ratio, check_word, greatest, no_scale, usable

COARSE = tuple(2.0 ** (k / 2) for k in range(-8, 2))
FINE = tuple(2.0 ** (k / 8) for k in (-2, -1, 1, 2))
"""Factors on ranges that `mse` tries: of the whole range, then around the best so far."""


@dataclass(frozen=True)
class Wishes:
    """What a caller may say beside the method."""

    ratio: float | str = "max"
    percentile: float = 99.99
    exponents: tuple[int, ...] | None = None


def minmax(scheme: Scheme, wishes: Wishes) -> Grids:
    """All numbers inside the range."""
    return _over(scheme, ranges.minmax(scheme.data.x), ranges.minmax(scheme.data.w, scheme.axis))


def percentile(scheme: Scheme, wishes: Wishes) -> Grids:
    """All but a few numbers inside."""
    percent = check_percent(wishes.percentile)
    x = ranges.percentile(scheme.data.x, percent, scheme.symmetric[0])
    return _over(scheme, x, ranges.percentile(scheme.data.w, percent, scheme.symmetric[1], scheme.axis))


def power_of_two(scheme: Scheme, wishes: Wishes) -> Grids:
    """An input step of 2^-N and a weight step of 2^-N / ratio: the N of least NRMSE, of several the smallest."""
    ratio = _ratio(scheme, wishes.ratio)
    wanted = _exponents(scheme, ratio) if wishes.exponents is None else wishes.exponents
    tried = [_powers(scheme, n, ratio) for n in usable(wanted) if _in_f32(2.0**n, ratio)]
    if not tried:
        raise no_scale()
    return min(tried, key=scheme.nrmse)


def mse(scheme: Scheme, wishes: Wishes) -> Grids:
    """The ranges of least NRMSE of the convolution, found by descent: those of `minmax` times powers of 2^(1/8).

    It tries first half octaves down to 1/16, then eighths around the best, of the weight (each channel for itself, where
    channels have grids) and of the input in turn. The grids of the other methods are tried, too: none of them is better.
    """
    descent = _Descent(scheme)
    for factors in (COARSE, FINE, FINE):
        descent.weight(factors)
        descent.input(factors)
    others = [method(scheme, wishes) for method in (minmax, percentile, power_of_two)]
    return min([descent.grids(), *others], key=scheme.nrmse)


class _Descent:
    """Where a search over widths of ranges stands: factors on those of `minmax`."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.x, self.w = ranges.minmax(scheme.data.x), ranges.minmax(scheme.data.w, scheme.axis)
        self.fx: Array = np.ones_like(self.x[0])
        self.fw: Array = np.ones_like(self.w[0])

    def grids(self, fx: Array | None = None, fw: Array | None = None) -> Grids:
        """The grids here, or with other factors."""
        scheme = self.scheme
        x, w = self.fx if fx is None else fx, self.fw if fw is None else fw
        return scheme.grid(0, self.x, x), scheme.grid(1, self.w, w)

    def input(self, factors: Sequence[float]) -> None:
        """A step along the input's factor."""
        tried = [self.fx * f for f in factors]
        self.fx = _least(self.fx, tried, lambda f: self.scheme.errors(self.grids(fx=f)), each=False)

    def weight(self, factors: Sequence[float]) -> None:
        """A step along the weight's, of each channel for itself where channels have grids."""
        tried, each = [self.fw * f for f in factors], self.scheme.axis is not None
        self.fw = _least(self.fw, tried, lambda f: self.scheme.errors(self.grids(fw=f)), each)


Method = Callable[[Scheme, Wishes], Grids]
METHODS: dict[str, Method] = {"power_of_two": power_of_two, "minmax": minmax, "percentile": percentile, "mse": mse}


def check_percent(percent: float) -> float:
    """The percentile, where it is one. `ConvError` where not."""
    if isinstance(percent, (int, float, np.number)) and not isinstance(percent, bool) and 50 < float(percent) <= 100:
        return float(percent)
    raise ConvError.of(f"The percentile is {percent!r}; it must be a number above 50, at most 100, such as 99.9.")


def _over(scheme: Scheme, x: ranges.Range, w: ranges.Range) -> Grids:
    return scheme.grid(0, x), scheme.grid(1, w)


def _least(now: Array, tried: Sequence[Array], errors: Callable[[Array], Array], each: bool) -> Array:
    """Of `now` and what is tried the one of least error, for each output channel or for all of them together."""
    best, least = now, errors(now)
    for candidate in tried:
        found = errors(candidate)
        better = found < least if each else np.full(least.shape, found.sum() < least.sum())
        least = np.where(better, found, least)
        best = np.where(better, candidate, best) if each else candidate if better.all() else best
    return best


# --- powers of two


def _ratio(scheme: Scheme, wanted: float | str) -> Array:
    """The weight's scale over the input's: given, or of the two distributions (of each output channel's)."""
    if not isinstance(wanted, str):
        return np.asarray(check_ratio(wanted)) * np.ones(_channels(scheme))
    check_word(wanted, ("max", "std"), "ratio")
    rows = ranges.by_channel(scheme.data.w, scheme.axis)
    x = scheme.data.x.astype(np.float64)
    if wanted == "std":
        return _quotient(x.std(), rows.std(-1), scheme.data.w.std(dtype=np.float64))
    return _quotient(np.abs(x).max(), np.abs(rows).max(-1), greatest(scheme.data.w))


def _quotient(x: float, w: Array, whole: float) -> Array:
    """x / w; a channel of equal numbers, or of zeros, has the spread of the whole tensor."""
    spread = np.where(w > 0, w, whole)
    check_ratio(float(x) / whole if whole else 0.0)
    return shortest(x / spread)


def _channels(scheme: Scheme) -> tuple[int, ...]:
    return () if scheme.axis is None else (scheme.data.w.shape[scheme.axis],)


def _powers(scheme: Scheme, exponent: int, ratio: Array) -> Grids:
    """The grids of one N."""
    steps = np.asarray(2.0**-exponent), 2.0**-exponent / ratio
    values = scheme.data.x, scheme.data.w
    return _with_step(scheme, 0, values[0], steps[0]), _with_step(scheme, 1, values[1], steps[1])


def _with_step(scheme: Scheme, which: int, values: NDArray[Any], step: Array) -> Grid:
    """A grid of a given step for a tensor."""
    found = ranges.minmax(values, scheme.axis if which else None)
    return with_step(step, *found, scheme.ends[which], scheme.symmetric[which])


def _exponents(scheme: Scheme, ratio: Array) -> Iterable[int]:
    """N from where the largest numbers become about 1 to four steps behind the last that clamps nothing."""
    w = np.abs(ranges.by_channel(scheme.data.w, scheme.axis)).max(-1)
    reach = [np.abs(scheme.data.x).max() / greatest_integer(scheme, 0, scheme.data.x)]
    reach.append((ratio * w).max() / greatest_integer(scheme, 1, scheme.data.w))
    last = floor(-log2(max(map(float, reach))))
    bits = int(scheme.ends[0].high - scheme.ends[0].low).bit_length()
    return range(last - bits + 2, last + 5)


def _in_f32(scale: float, ratio: Array) -> bool:
    """Whether f32 holds the scales and their product, as factors and as steps."""
    numbers = [scale, *(scale * ratio).ravel(), *(scale * scale * ratio).ravel()]
    return all(LEAST <= v <= MOST and LEAST <= 1 / v <= MOST for v in numbers)

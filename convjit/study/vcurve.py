"""The V-curve: the error of a convolution in integers over scale factors 2^N, with what bends it on either side.

The input is multiplied by 2^N, the weight by ratio 2^N, both in float32, rounded to integers that saturate at the ends of
their type, convolved exactly, and the sum divided by the product of the scales: operation by operation what `compute` does
(docs/quantisation.md). Too small an N rounds (the slope on the left: numbers become 0), too large an N clamps (the wall on
the right). Both are counted at every N, so that a curve says which of the two an error comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor, log2
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import ConvError, did_you_mean
from convjit.spec import quantize
from convjit.spec.conv import ConvSpec
from convjit.study.layer import Layer, layer
from convjit.study.publish import whole_file
from convjit.study.sheet import Sheet

DTYPES = ("i32", "i16", "i8", "i4")
"""The types of a curve. `compute` has no `i4`: there it is emulated, by integers that saturate at -8 and 7."""

REPORT_EXPONENTS = {"i32": range(27), "i16": range(10), "i8": range(-1, 3), "i4": range(-5, -1)}
"""N for data like the report's: its own ranges, and for the narrow types what shows both sides of the V."""

LEAST, MOST = 2.0**-126, 2.0**127
"""The scales, and their product, that the language takes."""


@dataclass(frozen=True)
class Point:
    """One N. Shares are from 0 to 1.

    `exact`: of outputs that are float32(reference) bit for bit. `clamped_x`, `clamped_w`: of numbers whose rounded value
    lies beyond the type's ends. `zeros_x`, `zeros_w`, `zeros_y`: of quantised inputs, quantised weights and sums that are 0.
    """

    exponent: int
    scale_x: float
    scale_w: float
    nrmse: float
    max_error: float
    exact: float
    clamped_x: float
    clamped_w: float
    zeros_x: float
    zeros_w: float
    zeros_y: float

    @property
    def clamps(self) -> bool:
        """Whether any number is clamped: the point stands at the wall or on it."""
        return self.clamped_x > 0 or self.clamped_w > 0


@dataclass(frozen=True)
class Curve:
    """The points of one type from the smallest N; the scale of the weight is `ratio` times that of the input."""

    dtype: str
    ratio: float
    points: tuple[Point, ...]

    @cached_property
    def best(self) -> Point:
        """The point of least NRMSE; of several the one with the smallest N."""
        return min(self.points, key=lambda p: p.nrmse)

    @cached_property
    def wall(self) -> Point | None:
        """The first point where a number is clamped; None where none is."""
        return next((p for p in self.points if p.clamps), None)

    def plateau(self, factor: float = 2.0) -> tuple[Point, ...]:
        """The points around the best one whose NRMSE is less than `factor` times the least, without a gap."""
        at = self.points.index(self.best)
        low = high = at
        limit = factor * self.best.nrmse
        while low and self.points[low - 1].nrmse <= limit:
            low -= 1
        while high + 1 < len(self.points) and self.points[high + 1].nrmse <= limit:
            high += 1
        return self.points[low : high + 1]

    def at(self, exponent: int) -> Point:
        """The point at N. `ConvError` where the curve has none."""
        found = next((p for p in self.points if p.exponent == exponent), None)
        if found is None:
            text = f"The curve of {self.dtype} has no point at 2^{exponent}."
            raise ConvError.of(text, note=f"It goes from 2^{self.points[0].exponent} to 2^{self.points[-1].exponent}.")
        return found


def curve(
    spec: ConvSpec, x: Any, w: Any, dtype: str, exponents: Iterable[int] | None = None,
    ratio: float | str = "max", rounding: str | None = None,
) -> Curve:  # fmt: skip
    """The V-curve of a convolution over real data (see `layer` for what they must be).

    `dtype` is one of i32, i16, i8 and i4; `exponents` the N (otherwise those of `default_exponents` for these data);
    `ratio` the scale of the weight over that of the input, or how it is taken from the data (see `ratio_of`); `rounding`
    a word of the language (otherwise that of the spec's `compute`, half_even where it has none). Raises `ConvError` for what is none of these.
    """
    return curve_of(layer(spec, x, w), dtype, exponents, ratio, rounding or rounding_of(spec))


def rounding_of(spec: ConvSpec) -> str:
    """How the spec's `compute` rounds; what the language takes where it does not say."""
    return spec.compute.round or "half_even" if spec.compute else "half_even"


def curve_of(
    data: Layer, dtype: str, exponents: Iterable[int] | None = None, ratio: float | str = "max", rounding: str = "half_even"
) -> Curve:
    """As `curve`, for a layer whose reference and kernels serve several curves."""
    check_word(dtype, DTYPES, "type")
    check_word(rounding, tuple(quantize.ROUNDINGS), "rounding")
    number = ratio_of(data.x, data.w, ratio) if isinstance(ratio, str) else check_ratio(ratio)
    wanted = default_exponents(dtype, data.x, data.w, number) if exponents is None else exponents
    chosen = [n for n in usable(wanted) if in_range(2.0**n, 2.0**n * number)]
    if not chosen:
        raise no_scale()
    points = [point(data, dtype, n, number, rounding) for n in chosen]
    return Curve(dtype, number, tuple(points))


def usable(exponents: Iterable[int]) -> list[int]:
    """The exponents in order, each once, without those whose power no f32 holds."""
    return sorted({n for n in exponents if log2(LEAST) <= n <= log2(MOST)})


def no_scale() -> ConvError:
    """The error where no exponent is left."""
    text = "None of the scales 2^N can be used: they, and their product, are numbers of f32, from 2^-126 to 2^127."
    return ConvError.of(text, hint="Scale the data nearer to 1, or choose other exponents.")


def point(data: Layer, dtype: str, exponent: int, ratio: float, rounding: str) -> Point:
    """One point of a curve."""
    scales = 2.0**exponent, 2.0**exponent * ratio
    (x, clamped_x), (w, clamped_w) = (
        quantised(values, scale, dtype, rounding) for values, scale in zip((data.x, data.w), scales, strict=True)
    )
    total = data.sums(x, w)
    gap = data.difference(quantize.to_real(total, *scales))
    zeros = (float(np.mean(values == 0)) for values in (x, w, total))
    return Point(exponent, *scales, gap.nrmse, gap.largest, gap.exact, clamped_x, clamped_w, *zeros)


def quantised(
    values: NDArray[np.float32], scale: float | NDArray[Any], dtype: str, rounding: str
) -> tuple[NDArray[np.int64], float]:
    """The integers of real numbers, and the share of those that lie beyond the ends of the type."""
    low, high = dtypes.limits(dtype)
    with np.errstate(over="ignore"):  # what is infinite saturates
        whole = quantize.rounded(values, scale, rounding)
    return quantize.saturated(whole, dtype), float(np.mean((whole < low) | (whole > high)))


def default_exponents(
    dtype: str, x: NDArray[Any] | None = None, w: NDArray[Any] | None = None, ratio: float = 1.0
) -> range:
    """N that show a whole V: for these data, or without any for data like the report's.

    With data, from where the largest value becomes about 1 to four steps behind the last N at which nothing is clamped.
    """
    check_word(dtype, DTYPES, "type")
    if x is None or w is None:
        return REPORT_EXPONENTS[dtype]
    high = dtypes.limits(dtype)[1]
    last = floor(log2(high / max(greatest(x), ratio * greatest(w))))
    return range(last - dtypes.bits(dtype) + 2, last + 5)


def ratio_of(x: NDArray[Any], w: NDArray[Any], by: str = "max") -> float:
    """The weight's scale over the input's that brings both to a similar range: the quotient of their largest absolute
    values ("max": both meet the ends of their type at the same N), or of their standard deviations ("std")."""
    check_word(by, ("max", "std"), "ratio")
    spread = greatest if by == "max" else lambda v: float(np.std(v, dtype=np.float64))
    return check_ratio(spread(x) / spread(w) if spread(w) else 0.0)


def greatest(values: NDArray[Any]) -> float:
    """The largest absolute value."""
    return float(np.abs(values).max())


def check_ratio(ratio: float) -> float:
    """The ratio, where it is one. `ConvError` where not."""
    if isinstance(ratio, (int, float, np.number)) and not isinstance(ratio, bool) and LEAST <= float(ratio) <= MOST:
        return float(ratio)
    raise ConvError.of(
        f"The ratio of the scales is {ratio!r}; it must be a number greater than 0 that f32 holds.",
        hint="Give a number such as 500, 'max' or 'std'.",
    )


def check_word(word: str, choices: Sequence[str], what: str) -> None:
    """`ConvError` for a word that is none of the choices."""
    if word not in choices:
        hint = did_you_mean(word, choices) if isinstance(word, str) else ()
        raise ConvError.of(f"Unknown {what} {word!r}.", note=f"There are {', '.join(choices)}.", hint=hint)


def in_range(scale_x: float, scale_w: float) -> bool:
    """Whether the language takes the scales."""
    return all(LEAST <= scale <= MOST for scale in (scale_x, scale_w, scale_x * scale_w))


def save_csv(path: str | PathLike[str], curves: Iterable[Curve]) -> None:
    """Write curves as CSV, one row for each point, with the type and the ratio before the fields of `Point`."""
    points = [(c.dtype, c.ratio, p) for c in curves for p in c.points]
    dtypes_, ratios, records = zip(*points, strict=True) if points else ((), (), ())
    sheet = Sheet.of(Point, records, (("dtype", dtypes_), ("ratio", ratios)))
    with whole_file(path, f"The table '{path}'") as file:
        file.write(sheet.text().encode())

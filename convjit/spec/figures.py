"""The figures of a certificate: what holds for one view of the factors, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from convjit import dtypes
from convjit.spec import intervals

EXACT_FLOAT = 2**24
"""f32 holds every integer up to here."""


@dataclass(frozen=True)
class Figures:
    """What holds for one view of the factors (see `intervals.View`); tuples have an entry for each output channel.

    `x` and `w` are the least and greatest x' and w', 0 among the former; `lows` and `highs` those of all partial sums,
    with the bias or before it. For bytes (one factor u8, the other i8): the number of `pairs`, how many of them are
    `unsafe` (could leave 16 bits), and `chunk16`, the pair steps of a tap that can be added up in 16 bits. For words
    (both factors i16): `chunk32`, the pair steps of a tap that can be added up in 32 bits, and `taps32`, the
    consecutive taps; None where the factors are wider. There `chunk54` and `taps54` are the same for sums of magnitude up
    to 2^53, which f64 holds.
    """

    view: str
    x: tuple[int, int]
    w: tuple[int, int]
    lows: tuple[int, ...]
    highs: tuple[int, ...]
    pairs: int | None
    unsafe: tuple[int, ...] | None
    chunk16: int | None
    chunk32: int | None
    taps32: int | None
    chunk54: int | None
    taps54: int | None

    @property
    def largest(self) -> int:
        """The greatest magnitude of a partial sum."""
        return max(*self.highs, *(-low for low in self.lows))

    @property
    def bits(self) -> float:
        """The least tenth b with |sum| < 2^b for every partial sum."""
        return (self.largest**10).bit_length() / 10

    @property
    def f32(self) -> bool:
        """Whether sums in f32 are exact, in any order: every partial sum is at most 2^24 in magnitude."""
        return self.largest <= EXACT_FLOAT

    def fits(self, dtype: str) -> bool:
        """Whether every partial sum is a number of that integer type; else it may wrap."""
        low, high = dtypes.limits(dtype)
        return low <= min(self.lows) and max(self.highs) <= high

    def to_dict(self) -> dict[str, Any]:
        """JSON data: the fields and what follows from them."""
        own = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        return own | {"bits": self.bits, "i32": self.fits("i32"), "i64": self.fits("i64"), "f32": self.f32}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The figures again; what follows from the fields is not read. `KeyError` where one is missing."""
        read = {field.name: data[field.name] for field in fields(cls)}
        own: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in read.items()}
        return cls(**own)


def measure(view: intervals.View, addends: Sequence[int]) -> Figures:
    """All figures of a view; `addends` are the bias, one for each output channel."""
    lows, highs = intervals.sum_bounds(view, addends)
    unsafe = intervals.unsafe_pairs(view) if view.bytes else None
    return Figures(
        view.name, (view.low, view.high), view.weight_range, lows, highs,
        None if unsafe is None else unsafe.size,
        None if unsafe is None else tuple(unsafe.sum((1, 2)).tolist()),
        intervals.widest_chunk(view, 16) if view.bytes else None,
        intervals.widest_chunk(view, 32) if view.words else None,
        intervals.widest_taps(view, 32) if view.words else None,
        None if view.words else intervals.widest_chunk(view, 54),
        None if view.words else intervals.widest_taps(view, 54),
    )  # fmt: skip

"""V-curves within a number of seconds: coarse first, then finer, so that what there is time for shows the whole V."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from convjit.study.clock import Clock
from convjit.study.layer import Layer
from convjit.study.vcurve import Curve, Point, default_exponents, in_range, point


@dataclass(frozen=True)
class Swept:
    """A curve, how its numbers were rounded, and the N that the time did not suffice for."""

    curve: Curve
    rounding: str
    missing: tuple[int, ...] = ()


def sweep(data: Layer, dtype: str, ratio: float, rounding: str, clock: Clock) -> Swept:
    """The curve of a type over the N that show its whole V for these data; at least one point is computed."""
    every = [n for n in default_exponents(dtype, data.x, data.w, ratio) if in_range(2.0**n, 2.0**n * ratio)]
    points: list[Point] = []
    missing: list[int] = []
    for n in coarse_first(every):
        if points and clock.left <= 0:
            missing.append(n)
        else:
            points.append(point(data, dtype, n, ratio, rounding))
    curve = Curve(dtype, ratio, tuple(sorted(points, key=lambda p: p.exponent)))
    return Swept(curve, rounding, tuple(sorted(missing)))


def coarse_first(values: Sequence[int]) -> Iterator[int]:
    """All of them: every fourth, then those in the middle between, then the rest.

    >>> list(coarse_first(range(7)))
    [0, 4, 2, 6, 1, 3, 5]
    """
    yield from values[::4]
    yield from values[2::4]
    yield from values[1::2]


def runs(values: Iterable[int]) -> str:
    """Whole numbers, neighbours together.

    >>> runs([1, 2, 3, 7])
    '1..3, 7'
    """
    groups: list[list[int]] = []
    for value in sorted(values):
        if groups and value == groups[-1][-1] + 1:
            groups[-1].append(value)
        else:
            groups.append([value])
    return ", ".join(f"{g[0]}..{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)

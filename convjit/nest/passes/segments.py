"""Where a loop is cut: neighbouring iterations in which every guard over a tile inside has the same verdicts.

A guard's verdict changes only near the two places where its interval crosses 0 and its size, a tile's length only near
its axis's end. Only iterations there are looked at one by one, so that a loop of a million turns costs no more.
"""

from __future__ import annotations

from itertools import product

from convjit.nest.affine import Bound, Range, ceil_div, high_range, low_range
from convjit.nest.guards import Ranges, tests, verdict
from convjit.nest.ir import Guard, Loop
from convjit.nest.visit import works

ROLLED = ("serial", "worker")
EVERY = 64
"""So many iterations are all looked at."""


def fixed(loop: Loop) -> range | None:
    """The iterations, where both bounds are numbers."""
    limits = loop.low + loop.high
    if any(l.affine.terms for l in limits):
        return None
    return range(low_range(loop.low, {})[0], high_range(loop.high, {})[0], loop.step)


def loop_range(loop: Loop, ranges: Ranges) -> Range:
    """Lowest and highest value of the counter."""
    low = low_range(loop.low, ranges)[0]
    high = high_range(loop.high, ranges)[1]
    return low, max(low, low + (high - 1 - low) // loop.step * loop.step)


def segments(loop: Loop, points: range, ranges: Ranges) -> list[range]:
    """Neighbouring iterations in which every tile guard has the same verdicts and every tile loop the same length."""
    marked: dict[tuple[Guard, tuple[Loop, ...]], None] = {}
    lengths: dict[Bound, Length] = {}
    for stmt, inner in works(loop.body):
        for place, l in enumerate(inner):
            if l.kind not in ROLLED and any(loop.name in limit.affine.names() for limit in l.high):
                lengths.setdefault(l.high, Length(l.high, inner[:place]))
        for guard in tests(stmt):
            if not guard.affine.coefficient(loop.name):
                continue
            deeper = [l for l in inner if l.name in guard.affine.names()]
            clips = [l for l in deeper if l.kind in ROLLED]  # a rolled loop further in will take it as its bounds
            if not clips or len(clips) < len(deeper):
                marked[guard, tuple(deeper)] = None
    if not marked and not lengths:
        return [points]
    return runs(points, [Mark(g, inner, loop.name) for g, inner in marked], [*lengths.values()], loop, ranges)


def runs(points: range, marks: list[Mark], lengths: list[Length], loop: Loop, ranges: Ranges) -> list[range]:
    """Equal neighbours together."""
    groups: list[range] = []
    last: object = None
    looked = probes(points, marks, lengths, loop, ranges)
    for point, following in zip(looked, [*looked[1:], points.stop], strict=True):
        here = {**ranges, loop.name: (point, point)}
        now = ([l.signature(here) for l in lengths], [m.signature(point, here) for m in marks])
        first = groups.pop()[0] if now == last else point
        groups.append(range(first, following, loop.step))
        last = now
    return groups


def probes(points: range, marks: list[Mark], lengths: list[Length], loop: Loop, ranges: Ranges) -> list[int]:
    """The iterations to look at: all near a change, and the first of every stretch between."""
    if len(points) <= EVERY:
        return list(points)
    here = {**ranges, loop.name: (points[0], points[-1])}
    near = {points[0]}
    parts: list[Mark | Length] = [*marks, *lengths]
    for part in parts:
        for low, high in part.changes(loop.name, here):
            first, last = place(low, points), place(high, points) + 2
            near.update(points[first:last])
    return sorted(near)


def place(value: int, points: range) -> int:
    """How many iterations start below a value, or one less."""
    return min(max(0, (value - points.start) // points.step), len(points))


def crossing(rest: Range, coefficient: int, level: int) -> Range:
    """The values of v between which coefficient * v + rest crosses the level."""
    ends = sorted((level - rest[0], level - rest[1]) if coefficient > 0 else (rest[0] - level, rest[1] - level))
    return ends[0] // abs(coefficient) - 1, ceil_div(ends[1], abs(coefficient)) + 1


class Length:
    """The end of a loop further in, and the loops between, whose ranges it depends on."""

    def __init__(self, high: Bound, between: tuple[Loop, ...]) -> None:
        self.high, self.between = high, between

    def known(self, here: Ranges) -> dict[str, Range]:
        """With the ranges of the loops between."""
        known = dict(here)
        for l in self.between:
            known[l.name] = loop_range(l, known)
        return known

    def signature(self, here: Ranges) -> Range:
        """The least and the most that it can be."""
        return high_range(self.high, self.known(here))

    def changes(self, name: str, here: Ranges) -> list[Range]:
        """Where a limit that moves with the loop is, or may be, the least: there the length changes every time."""
        known = self.known(here)
        moving = [l for l in self.high if l.affine.coefficient(name)]
        if any(l.divisor > 1 for l in moving) or len(moving) == len(self.high):
            return [known[name]]
        highest = min(l.range(known)[1] for l in self.high if l not in moving)
        found: list[Range] = []
        for limit in moving:
            c = limit.affine.coefficient(name) * limit.scale
            rest = (limit.affine.substitute({name: 0}) * limit.scale).range(known)
            first, last = crossing(rest, c, highest)
            found.append((first, known[name][1]) if c < 0 else (known[name][0], last))
        return found


class Mark:
    """A guard, and the loops further in that it moves with."""

    def __init__(self, guard: Guard, deeper: tuple[Loop, ...], name: str) -> None:
        self.guard, self.deeper = guard, deeper

    def signature(self, point: int, here: Ranges) -> object:
        """The verdict for every value of the unrolled loops, lanes as an interval."""
        low, high = self.guard.affine.range({**here, **{l.name: loop_range(l, here) for l in self.deeper}})
        if low >= 0 and not self.guard.size.terms and high < self.guard.size.const:
            return True
        if high < 0 or (not self.guard.size.terms and low >= self.guard.size.const):
            return False
        choices = [self.values(l, here) for l in self.deeper]
        names = [l.name for l in self.deeper]
        marks: list[object] = []
        for values in product(*choices):
            mark = verdict(self.guard, {**here, **dict(zip(names, values, strict=True))})
            marks.append((point, "part of the lanes") if mark is None else mark)
        return tuple(marks)

    def values(self, l: Loop, here: Ranges) -> list[Range]:
        """What a deeper loop contributes: each unrolled value on its own, else its range."""
        if l.kind == "unroll" and (points := fixed(l)) is not None:
            return [(v, v) for v in points]
        return [loop_range(l, here)]

    def changes(self, name: str, here: Ranges) -> list[Range]:
        """Where the guard's interval crosses 0 or its size."""
        if self.guard.size.terms:
            return [here[name]]
        known = {**here, **{l.name: loop_range(l, here) for l in self.deeper}}
        rest = self.guard.affine.substitute({name: 0}).range(known)
        c = self.guard.affine.coefficient(name)
        return [crossing(rest, c, 0), crossing(rest, c, self.guard.size.const)]

"""How many bytes of each buffer a part of a nest touches: boxes of elements, in whole lines of a cache.

Of an index, the variables inside the part run through their ranges and the others stand still, so that it covers an
interval; a digit (`Let`) covers as many values as the interval that it is a digit of. Accesses whose variables outside
are the same share one box, others have one each. That is exact for a convolution's boxes away from the borders; at a
border an interval is cut to the tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from convjit import dtypes
from convjit.nest.affine import Affine, ceil_div
from convjit.nest.ir import Buffer, Let
from convjit.nest.layout import Layout


@dataclass(frozen=True)
class Access:
    """A statement's access to memory; `inside` are the variables that move, with their values, `lets` the digits that it
    sees."""

    buffer: str
    index: tuple[Affine, ...]
    writes: bool
    inside: Mapping[str, range]
    lets: tuple[Let, ...] = ()


@dataclass(frozen=True)
class Interval:
    """Of an index: what it is besides the variables that move, the lowest and the highest value, and how many there
    are at most."""

    outside: Affine
    low: int
    high: int
    count: int

    def joined(self, other: Interval) -> Interval:
        """Both, where they have the same outside."""
        if (self.low, self.high) == (other.low, other.high):
            return self if self.count >= other.count else other
        return Interval(self.outside, min(self.low, other.low), max(self.high, other.high), self.count + other.count)


def interval(affine: Affine, inside: Mapping[str, range], lets: Sequence[Let]) -> Interval:
    """What an index covers while the variables inside run through their values."""
    rest, low, high, count = Affine((), 0), affine.const, affine.const, 1
    for name, c in affine.terms:
        if name in inside:
            ends = c * inside[name][0], c * inside[name][-1]
            low, high, count = low + min(ends), high + max(ends), count * len(inside[name])
            continue
        moves = digit(name, inside, lets)
        if moves is None:
            rest = rest + Affine(((name, c),))
            continue
        extent, step, fixed = moves
        rest = rest if fixed else rest + Affine(((name, c),))
        far = c * step * (extent - 1)
        low, high, count = low + min(far, 0), high + max(far, 0), count * extent
    return Interval(rest, low, high, min(count, high - low + 1))


def digit(name: str, inside: Mapping[str, range], lets: Sequence[Let]) -> tuple[int, int, bool] | None:
    """How many values a digit takes, its step, and whether nothing outside moves it; None where nothing inside does."""
    for let in reversed(lets):
        if name in let.names:
            whole = interval(let.of, inside, lets)
            if whole.high == whole.low:
                return None
            place = let.names.index(name)
            faster = prod(c.const for c in let.counts[place + 1 :])
            extent = min(let.counts[place].const, ceil_div(whole.high - whole.low + 1, faster))
            return max(1, extent), let.steps[place], not whole.outside.terms
    return None


def touched(
    accesses: Iterable[Access], buffers: Mapping[str, tuple[Buffer, Layout]], line: int
) -> dict[str, int]:
    """Bytes of each buffer, in whole lines. `buffers` come with their layouts, all sizes known."""
    boxes: dict[tuple[str, tuple[Affine, ...]], list[Interval]] = {}
    for access in accesses:
        found = [interval(a, access.inside, access.lets) for a in access.index]
        key = access.buffer, tuple(i.outside for i in found)
        boxes[key] = [a.joined(b) for a, b in zip(boxes[key], found, strict=True)] if key in boxes else found
    total: dict[str, int] = {}
    for (name, _), box in boxes.items():
        buffer, layout = buffers[name]
        extents = {d: extent(i, size) for d, i, size in zip(buffer.dims, box, limits(buffer, layout), strict=True)}
        total[name] = total.get(name, 0) + lines(layout, extents, dtypes.bits(buffer.dtype), line)
    return {name: min(n, whole(*buffers[name], line)) for name, n in total.items()}


def limits(buffer: Buffer, layout: Layout) -> list[int]:
    """The size of every dimension."""
    sizes = dict(layout.sizes)
    return [int(sizes.get(d, 1)) for d in buffer.dims]


def extent(i: Interval, size: int) -> tuple[int, int]:
    """Values that an index takes in a dimension, and from the first to the last."""
    low, high = (max(i.low, 0), min(i.high, size - 1)) if not i.outside.terms else (i.low, i.high)
    span = max(1, min(high - low + 1, size))
    return min(max(1, i.count), span), span


def whole(buffer: Buffer, layout: Layout, line: int) -> int:
    """Bytes of all of it, in whole lines."""
    return ceil_div(layout.elements() * dtypes.bits(buffer.dtype), 8 * line) * line


def lines(layout: Layout, extents: Mapping[str, tuple[int, int]], bits: int, line: int) -> int:
    """Bytes of a box in whole lines: neighbours in memory, and rows with gaps of less than a line, are one run."""
    run, runs = 1, 1
    for (name, block), stride in zip(reversed(layout.parts), reversed(layout.strides()), strict=True):
        count, span = extents.get(name, (1, 1))
        above = min((b for n, b in layout.parts if n == name and b > block), default=span)
        steps = ceil_div(min(span, above), block)
        if steps == 1:
            continue
        apart = stride.coefficient if count == span else stride.coefficient * (span - 1) // max(1, count - 1)
        if (apart - run) * bits < 8 * line:
            run = (steps - 1) * stride.coefficient + run
        else:
            runs *= min(steps, count)
    return runs * ceil_div(run * bits, 8 * line) * line
